"""`stepreplay pull`, `push` and `status`: cassettes outside of git, between the checkouts of two people."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest

from pytest_stepreplay.cli import main
from pytest_stepreplay.errors import StoreError
from pytest_stepreplay.models import Cassette
from pytest_stepreplay.remote import lock_file, states
from pytest_stepreplay.remote.objects import ObjectStore
from pytest_stepreplay.store.cassettes import write_cassette
from pytest_stepreplay.store.snapshot_files import write_snapshots

from .conftest import Project, Result, chat, completion, user

LOCK = "cassettes/stepreplay.lock"
SECRET = "sk-live-0sdf98sdf7sdf9s8d7f98sd7fs9d8f7"


@dataclass(frozen=True)
class Checkout:
    """One person's copy of a project, whose cassettes git does not hold."""

    path: Path
    project: Project

    def run(self, *args: str) -> Result:
        """Runs `stepreplay` there."""
        os.chdir(self.path)
        return self.project.run(*args)

    def record(self, name: str, text: str = "Say hello.", answer: str = "Hello!") -> Path:
        """Writes a cassette, as a run that records would."""
        path = self.path / "cassettes" / name
        write_cassette(path, Cassette(interactions=(chat(user(text), answer=completion(answer)),)))
        return path

    def take_lock_of(self, other: Checkout) -> None:
        """Does what `git pull` does once the other has committed the lock file."""
        (self.path / "cassettes").mkdir(exist_ok=True)
        shutil.copy(other.path / LOCK, self.path / LOCK)

    @property
    def files(self) -> dict[str, bytes]:
        """What is in the folder of the cassettes, besides the lock file and what is noted of it."""
        found = (path for path in (self.path / "cassettes").rglob("*") if path.is_file())
        return {path.name: path.read_bytes() for path in found if "stepreplay." not in path.name}

    def states(self) -> dict[str, str]:
        """What `stepreplay status` says of each file that is not as it is listed."""
        found: dict[str, str] = {
            each["file"]: each["state"] for each in self.run("status", "--json").json["files"]
        }
        return {name: state for name, state in found.items() if state != "same"}


@pytest.fixture
def check_out(project: Project) -> Callable[[str], Checkout]:
    """Makes copies of one project, whose store is a folder."""

    def make(name: str, store: str = "file://../store") -> Checkout:
        path = project.path / name
        path.mkdir()
        (path / "pytest.ini").write_text(f"[pytest]\nstepreplay_store = {store}\n")
        return Checkout(path, project)

    return make


@pytest.fixture
def ann(check_out: Callable[[str], Checkout]) -> Checkout:
    return check_out("ann")


@pytest.fixture
def bob(check_out: Callable[[str], Checkout]) -> Checkout:
    return check_out("bob")


def objects_of(checkout: Checkout) -> list[Path]:
    return sorted(path for path in (checkout.path.parent / "store").rglob("*") if path.is_file())


def test_what_one_pushes_another_pulls(ann: Checkout, bob: Checkout) -> None:
    ann.record("test_a/test_one.yaml")
    ann.record("test_a/test_two.yaml", "Say two.")
    pending = ann.record("test_a/test_one.yaml.new")
    write_snapshots(ann.path / "cassettes/test_a/test_one.snapshots.yaml", "test_a.py::test_one", {"1": 5})
    pushed = ann.run("push")
    assert pushed.status == 0
    assert pushed.out.splitlines()[0].startswith("pushed 3 files, ")
    assert pushed.out.splitlines()[1] == f"3 files are newly listed; commit {LOCK}"
    bob.take_lock_of(ann)
    assert set(bob.states().values()) == {"missing"}
    pulled = bob.run("pull")
    assert (pulled.status, pulled.out.split(",")[0]) == (0, "pulled 3 files")
    expected = ann.files
    del expected[pending.name]
    assert bob.files == expected
    assert bob.states() == {} and bob.run("status", "--check", "--store").status == 0
    assert bob.run("pull").out == "nothing to pull: all 3 files are here\n"
    assert ann.run("push").out == "nothing to push: all that is here is in file://../store\n"


def test_the_lock_file_has_a_sorted_line_for_each_file_and_objects_lie_by_their_digests(
    ann: Checkout,
) -> None:
    contents = {
        name: ann.record(name, name).read_bytes() for name in ("b.yaml", "a b[c].yaml", "test_a/c.json")
    }
    digests = {name: sha256(content).hexdigest() for name, content in contents.items()}
    ann.run("push")
    title, *lines = (ann.path / LOCK).read_text().splitlines()
    assert title.startswith("# stepreplay.lock 1: ")
    assert lines == [f"{digests[name]}  {name}" for name in ("a b[c].yaml", "b.yaml", "test_a/c.json")]
    root = ann.path.parent / "store"
    assert objects_of(ann) == sorted(root / "sha256" / each[:2] / each for each in digests.values())
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "-"],
        input="\n".join(lines),
        text=True,
        cwd=ann.path / "cassettes",
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_each_file_is_pulled_or_pushed_by_who_has_changed_it(ann: Checkout, bob: Checkout) -> None:
    for name in ("behind", "changed", "both", "dropped", "same"):
        ann.record(f"{name}.yaml")
    ann.run("push")
    bob.take_lock_of(ann)
    bob.run("pull")

    bob.record("behind.yaml", answer="By Bob.")
    bob.record("both.yaml", answer="By Bob.")
    (bob.path / "cassettes/dropped.yaml").unlink()
    lines = (bob.path / LOCK).read_text().splitlines(keepends=True)
    (bob.path / LOCK).write_text("".join(line for line in lines if "dropped" not in line))
    assert bob.run("push").status == 0
    ann.take_lock_of(bob)
    ann.record("changed.yaml", answer="By Ann.")
    both = ann.record("both.yaml", answer="By Ann.").read_bytes()
    ann.record("new.yaml")
    states = {"behind": "behind", "both": "both", "changed": "changed", "dropped": "dropped", "new": "new"}
    assert ann.states() == {f"{name}.yaml": state for name, state in states.items()}
    assert ann.run("status").status == 0 and ann.run("status", "--check").status == 1

    pushed = ann.run("push")
    assert pushed.status == 1
    assert "1 file left as it is, changed here and by others:\n  cassettes/both.yaml\n" in pushed.err
    assert "To keep what is here: stepreplay push --force cassettes/both.yaml\n" in pushed.err
    assert "2 files were changed by others, and not here: stepreplay pull\n" in pushed.err
    assert ann.states() == {"behind.yaml": "behind", "both.yaml": "both", "dropped.yaml": "dropped"}

    pulled = ann.run("pull")
    assert pulled.status == 1 and "removed 1 file that others have removed\n" in pulled.out
    assert b"By Bob." in ann.files["behind.yaml"] and "dropped.yaml" not in ann.files
    assert ann.files["both.yaml"] == both
    assert ann.states() == {"both.yaml": "both"}
    assert ann.run("push", "--force", "both").status == 0 and ann.states() == {}
    bob.take_lock_of(ann)
    assert bob.run("pull").status == 0 and bob.files == ann.files


def test_what_others_have_pushed_is_taken_by_force(ann: Checkout, bob: Checkout) -> None:
    ann.record("a.yaml")
    ann.run("push")
    bob.take_lock_of(ann)
    bob.record("a.yaml", answer="By Bob.")  # without having pulled
    assert bob.states() == {"a.yaml": "both"}
    assert bob.run("pull").status == 1 and b"By Bob." in bob.files["a.yaml"]
    assert bob.run("pull", "--force").status == 0
    assert bob.files == ann.files and bob.states() == {}


def test_only_what_is_named_is_pulled_with_what_lies_beside_it(ann: Checkout, bob: Checkout) -> None:
    ann.record("test_a/test_one.yaml")
    ann.record("test_b/test_one.yaml")
    beside = b"a recording of a voice"
    name = f"{sha256(beside).hexdigest()}.mp3"
    (ann.path / "cassettes/test_a" / name).write_bytes(beside)
    ann.run("push")
    bob.take_lock_of(ann)
    (bob.path / "test_a.py").touch()
    assert bob.run("pull", "test_a.py::test_one").status == 0
    assert set(bob.files) == {"test_one.yaml", name}
    assert bob.states() == {"test_b/test_one.yaml": "missing"}
    wrong = bob.run("pull", "test_b/test_won")
    assert wrong.status == 2
    assert wrong.err == (
        "stepreplay: 'test_b/test_won' is neither in cassettes nor listed in its stepreplay.lock\n"
        "Did you mean cassettes/test_b/test_one.yaml or cassettes/test_a/test_one.yaml?\n"
    )
    assert bob.run("pull", "cassettes/test_b").status == 0 and bob.states() == {}


def test_an_object_that_was_damaged_is_refused_and_mended_by_force(ann: Checkout, bob: Checkout) -> None:
    ann.record("a.yaml")
    ann.record("b.yaml", "Say b.")
    ann.run("push")
    digest = lock_file.read_lock(ann.path / "cassettes")["a.yaml"]
    (damaged,) = [path for path in objects_of(ann) if path.name == digest]
    damaged.write_bytes(damaged.read_bytes().replace(b"Hello", b"Helga"))
    bob.take_lock_of(ann)
    pulled = bob.run("pull")
    assert pulled.status == 1 and set(bob.files) == {"b.yaml"}
    assert pulled.err == (
        "cassettes/a.yaml is refused: the store holds other bytes under its digest\n"
        "Whoever has the file mends it with: stepreplay push --force cassettes/a.yaml\n"
    )
    assert ann.run("push", "--force", "a.yaml").status == 0
    assert bob.run("pull").status == 0 and bob.files == ann.files


def test_what_is_listed_and_not_in_the_store_is_told_and_pushed_by_whoever_has_it(
    ann: Checkout, bob: Checkout
) -> None:
    ann.record("a.yaml")
    ann.run("push")
    bob.take_lock_of(ann)
    shutil.rmtree(ann.path.parent / "store")
    told = (
        "1 file is listed, and not in file://../store:\n  cassettes/a.yaml\n"
        "Whoever has it pushes it with: stepreplay push\n"
    )
    pulled = bob.run("pull")
    assert pulled.status == 1 and pulled.err.startswith(told) and "check stepreplay_store" in pulled.err
    assert bob.run("status", "--check", "--store").err == told
    assert bob.run("status", "--check").status == 1
    assert ann.run("push").out.startswith("pushed 1 file, ")
    half = objects_of(ann)[0]
    half.write_bytes(half.read_bytes()[:100])
    assert ann.run("push").out.startswith("pushed 1 file, "), "one of another size is written again"
    assert bob.run("pull").status == 0


def test_nothing_secret_is_pushed(ann: Checkout) -> None:
    ann.record("good.yaml")
    path = ann.record("bad.yaml")
    path.write_bytes(path.read_bytes().replace(b"Say hello.", SECRET.encode()))
    beside = f"id_rsa {SECRET}".encode()
    (ann.path / "cassettes" / f"{sha256(beside).hexdigest()}.txt").write_bytes(beside)
    pushed = ann.run("push")
    assert pushed.status == 1 and pushed.out.startswith("pushed 1 file, ")
    assert "cassettes/bad.yaml: was not pushed, since it holds what looks like a secret:\n" in pushed.err
    assert pushed.err.count("was not pushed") == 2 and SECRET not in pushed.err
    assert [*lock_file.read_lock(ann.path / "cassettes")] == ["good.yaml"]
    assert not any(SECRET.encode() in each.read_bytes() for each in objects_of(ann))
    (ann.path / "pytest.ini").write_text(
        "[pytest]\nstepreplay_store = file://../store\nstepreplay_allow_secret = **: made up\n"
    )
    ann.run("push", "bad")
    assert "bad.yaml" in lock_file.read_lock(ann.path / "cassettes"), "what the project allows is"


def test_a_broken_cassette_is_not_pushed_and_what_is_none_is_left_out(ann: Checkout) -> None:
    ann.record("good.yaml")
    folder = ann.path / "cassettes"
    (folder / "broken.yaml").write_text("stepreplay: 1\ninteractions: [\n")
    (folder / "settings.yaml").write_text("color: red\n")
    (folder / "README.md").write_text("What is recorded here.\n")
    (folder / f"{'0' * 64}.bin").write_bytes(b"something else")
    (folder / ".hidden").mkdir()
    shutil.copy(folder / "good.yaml", folder / ".hidden/a.yaml")
    pushed = ann.run("push")
    assert pushed.status == 1
    assert "cassettes/broken.yaml" in pushed.err and "its name is the SHA-256 of other bytes" in pushed.err
    assert [*lock_file.read_lock(folder)] == ["good.yaml"]
    assert ann.states() == {"broken.yaml": "new", f"{'0' * 64}.bin": "new"}


def test_a_cassette_whose_file_beside_it_is_missing_is_not_pushed(ann: Checkout) -> None:
    digest = sha256(b"voice").hexdigest()
    path = ann.record("a.yaml")
    text = path.read_text()
    start = text.index("  response:")
    path.write_text(
        f"{text[:start]}  response:\n    status: 200\n    file:\n      name: {digest}.mp3\n      size: 5\n"
    )
    pushed = ann.run("push")
    assert pushed.status == 1 and f"{digest}.mp3: is missing; cassettes/a.yaml cites it" in pushed.err, (
        pushed.err
    )


def test_a_link_that_leads_out_is_neither_pushed_nor_written_through(ann: Checkout, bob: Checkout) -> None:
    outside = ann.record("../elsewhere/a.yaml")
    ann.record("in/a.yaml")
    (ann.path / "cassettes/out.yaml").symlink_to(outside)
    ann.run("push")
    assert [*lock_file.read_lock(ann.path / "cassettes")] == ["in/a.yaml"]
    bob.take_lock_of(ann)
    (bob.path / "elsewhere").mkdir()
    (bob.path / "cassettes/in").symlink_to(bob.path / "elsewhere")
    pulled = bob.run("pull")
    assert pulled.status == 1 and "leads out of cassettes through a symbolic link" in pulled.err
    assert not [*(bob.path / "elsewhere").iterdir()]


def test_a_lock_file_can_have_nothing_else_written(ann: Checkout, bob: Checkout) -> None:
    ann.record("a.yaml")
    ann.run("push")
    bob.take_lock_of(ann)
    good = (ann.path / LOCK).read_text()
    for name in (
        "conftest.py",
        "../a.yaml",
        "/tmp/a.yaml",
        "a/../../b.yaml",
        ".git/a.yaml",
        "a\\b.yaml",
        "C:a.yaml",
    ):
        (bob.path / LOCK).write_text(good.replace("a.yaml", name))
        pulled = bob.run("pull")
        assert pulled.status == 2
        assert f"{LOCK}:2: {name!r} is no file that a cassette is made of\n" in pulled.err
    assert not bob.files


def test_a_merge_conflict_in_the_lock_file_is_told(ann: Checkout) -> None:
    ann.record("a.yaml")
    ann.run("push")
    title, line = (ann.path / LOCK).read_text().splitlines()
    other = line.replace(line[:64], "1" * 64)
    new = line.replace("a.yaml", "b.yaml")
    for text, told in (
        (
            f"<<<<<<< HEAD\n{line}\n=======\n{other}\n>>>>>>> theirs\n",
            ":2: has a merge conflict: both sides changed a.yaml\n"
            "Keep one line for each file, that of the recording you want, and no marks, then: stepreplay status\n",
        ),
        (
            f"<<<<<<< HEAD\n{line}\n=======\n{new}\n>>>>>>> theirs\n",
            ":2: has a merge conflict, in which no file has two digests\n"
            "Keep the lines of both sides, without the marks, then: stepreplay status\n",
        ),
        (f"{line}\n{other}\n", ":3: a.yaml is listed twice, here and in line 2, with different digests\n"),
        (
            f"{line}\nsomething\n",
            ":3: is no digest and a name\nTake it from git again: git checkout -- cassettes/stepreplay.lock\n",
        ),
    ):
        (ann.path / LOCK).write_text(f"{title}\n{text}")
        for command in ("status", "pull", "push"):
            result = ann.run(command)
            assert result.status == 2 and f"stepreplay: {LOCK}{told}" in result.err
    (ann.path / LOCK).write_text(f"{title}\n{line}\n{line}\n")
    assert ann.run("status", "--check").status == 0, "as git's merge=union leaves it"
    (ann.path / LOCK).write_text("# stepreplay.lock 2: of tomorrow\n")
    assert "Update pytest-stepreplay" in ann.run("pull").err


@pytest.mark.parametrize(
    ("store", "told"),
    [
        (
            "s3:/bucket",
            "pytest.ini, store: 's3:/bucket' is not a URL such as s3://BUCKET/FOLDER or file:///FOLDER",
        ),
        ("user:pw@host", "pytest.ini, store: is not a URL such as"),
        (
            "memry://bucket",
            "stepreplay_store: memry:// is no protocol that fsspec knows (did you mean memory?)",
        ),
        ("hdfs://ann:pa55word@host/x", "hdfs://host/x needs a library that is not installed: "),
        ("gs://bucket/x", "Install it with: pip install gcsfs"),
    ],
)
def test_a_store_that_cannot_be_opened_is_told(
    check_out: Callable[..., Checkout], store: str, told: str
) -> None:
    ann = check_out("ann", store)
    ann.record("a.yaml")
    pushed = ann.run("push")
    assert pushed.status == 2 and told in pushed.err
    assert "pa55word" not in pushed.err and "Traceback" not in pushed.err


def test_without_a_store_or_the_library_it_is_said_how_to_have_one(
    ann: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is no cassettes/stepreplay.lock" in ann.run("pull").err
    assert (
        "there is no cassette in cassettes.\nRecord some with: pytest --stepreplay=record"
        in ann.run("push").err
    )
    monkeypatch.setattr("pytest_stepreplay.cli.syncing.find_spec", lambda name: None)
    ann.record("a.yaml")
    assert "pip install 'pytest-stepreplay[remote]'" in ann.run("push").err
    assert ann.run("status").status == 0, "which asks no store"
    (ann.path / "pytest.ini").write_text("[pytest]\n")
    for command in ("pull", "push", "status"):
        result = ann.run(command)
        assert result.status == 2 and "stepreplay_store is not set" in result.err


def test_any_store_of_fsspec_will_do(check_out: Callable[..., Checkout]) -> None:
    ann, bob = check_out("ann", "memory://team/project"), check_out("bob", "memory://team/project/")
    ann.record("a.yaml")
    assert ann.run("push").status == 0
    found = fsspec.filesystem("memory").find("/team/project/sha256")
    assert [path.rpartition("/")[2] for path in found] == [
        *lock_file.read_lock(ann.path / "cassettes").values()
    ]
    bob.take_lock_of(ann)
    assert bob.run("pull").status == 0 and bob.files == ann.files


def test_no_secret_of_a_url_or_an_option_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"key": "AKsecretkey", "client": {"token": "t0kenvalue"}, "endpoint_url": "http://127.0.0.1:9"}
    store = ObjectStore("memory://ann:pa55word@team/x?sig=abc", options, tmp_path)

    def fail(path: str) -> bytes:
        raise OSError(
            "no answer for ann:pa55word (pa55word, AKsecretkey, t0kenvalue) from http://127.0.0.1:9"
        )

    monkeypatch.setattr(store._system, "cat_file", fail)
    with pytest.raises(Exception, match="cannot be read") as raised:
        store.read("0" * 64)
    assert str(raised.value).startswith("memory://team/x cannot be read: OSError: no answer for ")
    assert "http://127.0.0.1:9" in str(raised.value)
    assert not any(each in str(raised.value) for each in ("pa55word", "AKsecretkey", "t0kenvalue", "abc"))


KILLED = """
import os, signal, sys
from pkgutil import resolve_name
from pytest_stepreplay.cli import main
command, place, at = sys.argv[1:]
place, _, name = place.rpartition(".")
real, calls = getattr(resolve_name(place), name), []
def kill(*args, **kwargs):
    calls.append(args)
    if len(calls) == int(at):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **kwargs)
setattr(resolve_name(place), name, kill)
sys.exit(main([command]))
"""


@pytest.mark.parametrize(
    ("command", "place", "at"),
    [
        ("push", "shutil.move", "3"),  # before an object is where it belongs
        ("push", "pytest_stepreplay.machine.disk.replace", "1"),  # before the lock file is there
        (
            "push",
            "pytest_stepreplay.machine.disk.replace",
            "2",
        ),  # before what it shares with the folder is noted
        ("pull", "pytest_stepreplay.machine.disk.replace", "3"),
    ],
)
def test_a_killed_command_leaves_nothing_half_done_and_goes_on(
    ann: Checkout, bob: Checkout, command: str, place: str, at: str
) -> None:
    contents = {f"{n}.yaml": ann.record(f"{n}.yaml", f"Say {n}.").read_bytes() for n in range(5)}
    who = ann
    if command == "pull":
        ann.run("push")
        bob.take_lock_of(ann)
        who = bob
    words = [sys.executable, "-c", KILLED, command, place, at]
    ended = subprocess.run(words, cwd=who.path, capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    for path in objects_of(ann):
        assert path.suffix == ".tmp" or sha256(path.read_bytes()).hexdigest() == path.name
    visible = {path: content for path, content in who.files.items() if not path.startswith(".")}
    assert visible.items() <= contents.items(), "each file is whole, or not there"
    assert who.run(command).status == 0
    bob.take_lock_of(ann)
    assert bob.run("pull").status == 0
    assert bob.files == contents and bob.states() == ann.states() == {}


def test_fifty_writers_at_once_lose_nothing(ann: Checkout, bob: Checkout) -> None:
    """Half of them push from one folder, so that they share its lock file; the others each from their own."""
    code = """
import os, sys
from pytest_stepreplay.cli import main
main(["push", "shared.yaml"])  # what a child has to import, it has already
children = []
for number in range(50):
    child = os.fork()
    if child == 0:
        if number % 2:
            os.chdir(f"../own_{number}")
        status = main(["push", f"test_{number}.yaml"])
        sys.stdout.flush()
        os._exit(status)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
    for number in range(50):
        who = ann
        if number % 2:
            shutil.copytree(bob.path, bob.path.parent / f"own_{number}")
            who = Checkout(bob.path.parent / f"own_{number}", bob.project)
        who.record(f"test_{number}.yaml", f"Say {number}.")
        who.record("shared.yaml", "Say the same.")
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ann.path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    listed = lock_file.read_lock(ann.path / "cassettes")
    assert [*listed] == ["shared.yaml", *sorted(f"test_{number}.yaml" for number in range(0, 50, 2))]
    for number in range(1, 50, 2):
        listed |= lock_file.read_lock(bob.path.parent / f"own_{number}" / "cassettes")
    (bob.path / "cassettes").mkdir()
    (bob.path / LOCK).write_bytes(lock_file.render_lock(listed))  # as git merges their lines
    assert bob.run("pull").status == 0 and len(bob.files) == 51
    for number in range(50):
        assert f"Say {number}.".encode() in bob.files[f"test_{number}.yaml"]
    assert len(objects_of(ann)) == 51


def test_two_who_push_one_name_at_once_are_both_told(ann: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    ann.record("a.yaml")
    write = ObjectStore.write

    def others_first(store: ObjectStore, digest: str, content: bytes) -> None:
        write(store, digest, content)
        (ann.path / LOCK).write_bytes(lock_file.render_lock({"a.yaml": "1" * 64}))

    monkeypatch.setattr(ObjectStore, "write", others_first)
    pushed = ann.run("push")
    assert pushed.status == 1 and "left as it is, changed here and by others" in pushed.err
    assert lock_file.read_lock(ann.path / "cassettes") == {"a.yaml": "1" * 64}


def test_what_a_push_has_done_before_the_store_fails_is_listed(
    ann: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        ann.record(f"{number}.yaml", f"Say {number}.")
    write, calls = ObjectStore.write, list[str]()

    def fail(store: ObjectStore, digest: str, content: bytes) -> None:
        calls.append(digest)
        if len(calls) > 1:
            raise StoreError("file://../store cannot be written: OSError: it is full")
        write(store, digest, content)

    monkeypatch.setattr(ObjectStore, "write", fail)
    pushed = ann.run("push")
    assert (pushed.status, pushed.err) == (
        2,
        "stepreplay: file://../store cannot be written: OSError: it is full\n",
    )
    monkeypatch.undo()
    assert [*lock_file.read_lock(ann.path / "cassettes")] == ["0.yaml"]
    assert ann.states() == {"1.yaml": "new", "2.yaml": "new"}
    assert ann.run("push").status == 0 and ann.states() == {}


def test_many_problems_are_told_in_short(ann: Checkout) -> None:
    (ann.path / "cassettes").mkdir()
    for number in range(12):
        (ann.path / f"cassettes/{number:02}.yaml").write_text("stepreplay: 1\ninteractions: [\n")
    assert "there is no cassettes/stepreplay.lock yet; stepreplay push writes it\n" in ann.run("status").out
    pushed = ann.run("push")
    assert pushed.status == 1 and pushed.err.endswith("and 2 more problems\n")
    assert pushed.err.count("cassettes/") == 10


def test_what_is_recorded_during_a_pull_stays(
    ann: Checkout, bob: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann.record("a.yaml")
    ann.run("push")
    bob.take_lock_of(ann)
    read = ObjectStore.read

    def record_meanwhile(store: ObjectStore, digest: str) -> bytes:
        bob.record("a.yaml", answer="By Bob.")
        return read(store, digest)

    monkeypatch.setattr(ObjectStore, "read", record_meanwhile)
    pulled = bob.run("pull")
    assert pulled.status == 1 and "was changed here in the meantime, and is left as it is" in pulled.err
    assert b"By Bob." in bob.files["a.yaml"]


def test_ctrl_c_ends_a_pull_that_then_goes_on(
    ann: Checkout, bob: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        ann.record(f"{number}.yaml", f"Say {number}.")
    ann.run("push")
    bob.take_lock_of(ann)
    read, calls = ObjectStore.read, list[str]()

    def interrupt(store: ObjectStore, digest: str) -> bytes:
        calls.append(digest)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read(store, digest)

    monkeypatch.setattr(ObjectStore, "read", interrupt)
    assert bob.run("pull").status == 130
    monkeypatch.undo()
    assert bob.run("pull").status == 0 and bob.files == ann.files


def test_a_name_that_a_lock_file_can_list_is_that_of_a_cassette() -> None:
    good = ("a.yaml", "test_a/b c[x:y].json", "a.snapshots.yaml", "a.har", f"d/{'0' * 64}.mp3", "a.yaml.gz")
    bad = (
        "a.yaml.new",
        ".a.yaml",
        "a",
        "a.txt",
        "stepreplay.lock",
        "a//b.yaml",
        "./a.yaml",
        "a\n.yaml",
        " a.yaml",
        "",
    )
    assert [name for name in (*good, *bad) if lock_file.is_listed_name(name)] == [*good]


def test_a_state_tells_who_has_changed_a_file() -> None:
    def kind(here: str | None, listed: str | None, base: str | None) -> str:
        return states.FileState("a", here, listed, base).standing.name

    assert kind("1", "1", None) == kind("1", "1", "2") == "SAME"
    assert kind(None, "1", None) == kind(None, "1", "1") == kind(None, "2", "1") == "MISSING"
    assert kind("1", "2", "1") == "BEHIND" and kind("1", None, "1") == "DROPPED"
    assert kind("1", None, None) == kind("2", None, "1") == "NEW"
    assert kind("2", "1", "1") == "CHANGED"
    assert kind("2", "1", None) == kind("2", "1", "3") == "BOTH"


def test_a_program_reads_what_was_done(ann: Checkout) -> None:
    ann.record("a.yaml")
    pushed = ann.run("push", "--json").json
    assert pushed["pushed"] == pushed["listed"] == ["a.yaml"] and pushed["problems"] == {}
    assert ann.run("status", "--json", "--store").json == {
        "store": "file://../store",
        "lock": LOCK,
        "files": [{"file": "a.yaml", "state": "same"}],
        "absent": [],
    }
    (ann.path / "cassettes/a.yaml").unlink()
    assert ann.run("pull", "--json").json["pulled"] == ["a.yaml"]


def test_the_commands_explain_themselves(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("pull", "push", "status"):
        assert main([command, "--help"]) == 0
        assert f"Usage: stepreplay {command} [OPTIONS] [FILES]..." in capsys.readouterr().out


def test_lint_tells_what_is_not_as_it_is_listed(ann: Checkout, bob: Checkout) -> None:
    ann.record("a.yaml")
    ann.record("b.yaml", "Say b.")
    ann.run("push")
    assert ann.run("lint").status == 0
    bob.take_lock_of(ann)
    bob.run("pull")
    ann.record("a.yaml", answer="By Ann.")
    ann.record("c.yaml", "Say c.")
    told = ann.run("lint")
    assert told.status == 1
    assert told.out.splitlines()[:2] == [
        "cassettes/a.yaml: is not as stepreplay.lock lists it: changed here; stepreplay push",
        "cassettes/c.yaml: is not as stepreplay.lock lists it: new here; stepreplay push",
    ]
    assert ann.run("lint", "--skip", "lock").status == 0
    ann.run("push")
    bob.take_lock_of(ann)
    assert (
        "a.yaml: is not as stepreplay.lock lists it: changed by others; stepreplay pull"
        in bob.run("lint").out
    )


def test_what_was_not_pulled_is_not_left_out_of_a_verify_unseen(ann: Checkout, bob: Checkout) -> None:
    ann.record("a.yaml")
    ann.record("b.yaml", "Say b.")
    ann.run("push")
    bob.take_lock_of(ann)
    bob.run("pull", "a")
    verified = bob.run("verify")
    assert verified.status == 2
    assert verified.err == (
        "stepreplay: 1 file is listed in cassettes/stepreplay.lock, and not here yet.\n"
        "Bring what is missing with: stepreplay pull\n"
    )
    assert "not here yet" not in bob.run("verify", "a").err, "who names something means that"
