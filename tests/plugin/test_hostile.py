"""Cassettes that a stranger's pull request brings: nothing in them is executed, obeyed or followed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from pytest_stepreplay.cli import main
from tests.conftest import KEY

from .suite import PLAIN, Suite

EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\n::error::owned\n##vso[task.setvariable]owned\n<script>owned</script>"
"""What a terminal, a CI log or a page would obey."""

MEMORY = 1 << 29
"""Bytes that reading one file may take at most; a hostile one may take thirty times its size."""


def obeyed(out: str) -> list[str]:
    """Return the lines of an output that a terminal or a CI log would obey."""
    marks = ("##vso[", "\x1b", "\x07", "\u202e")
    lines = out.splitlines()
    return [line for line in lines if line.lstrip().startswith("::") or any(mark in line for mark in marks)]


def command(suite: Suite, *args: str) -> str:
    """Run `stepreplay` in the suite's folder, and return all that it prints."""
    printed = io.BytesIO()
    stream = io.TextIOWrapper(printed, encoding="utf-8")
    with chdir(suite.pytester.path), redirect_stdout(stream), redirect_stderr(stream):
        main(args)
    stream.flush()
    return printed.getvalue().decode()


def replayed(suite: Suite) -> str:
    out = suite.run("-rA").stdout.str()
    assert "Traceback" not in out
    assert "INTERNALERROR" not in out
    return out


ATTACKS: dict[str, tuple[Callable[[], str], str]] = {
    "alias bomb": (
        lambda: (
            "version: 1\ninteractions:\n- &a0 [x, x]\n"
            + "".join(f"- &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
        ),
        "has aliases that stand for more than fits into memory",
    ),
    "alias bomb of ours": (lambda: "stepreplay: 1\na: &a [x]\nb: [*a, *a]\n", "has a YAML anchor or alias"),
    "alias of itself": (lambda: "interactions: &a [*a]\n", "has an alias without an anchor before it"),
    "deep list": (
        lambda: "stepreplay: 1\ninteractions: " + "[" * 100_000,
        "is nested more than 500 levels deep",
    ),
    "deep block": (
        lambda: "stepreplay: 1\ninteractions:\n" + "- " * 100_000 + "x\n",
        "more than 500 levels deep",
    ),
    "deep JSON": (lambda: '{"stepreplay": ' + "[" * 100_000, "is nested more than 500 levels deep"),
    "deep mapping": (lambda: "{a: " * 100_000, "is nested more than 500 levels deep"),
    "python object": (
        lambda: "interactions:\n- !!python/object/apply:os.system ['touch owned']\n",
        "has the YAML tag !!python/object/apply:os.system, which is not read",
    ),
    "python name": (lambda: "interactions: !!python/name:os.system ''\n", "has the YAML tag"),
    "tag with an escape": (lambda: "interactions: !<tag:%1b%5b2J> x\n", "has the YAML tag"),
    "duplicate keys": (lambda: "stepreplay: 1\ntest: a\ntest: b\n", "has the key test for the second time"),
    "many duplicates": (
        lambda: "{" + ",".join(f'"{i}":1' for i in range(300_000)) + ', "0": 1}',
        "twice in one object",
    ),
    "evil key": (
        lambda: json.dumps({"stepreplay": 1, EVIL: 1, "interactions": []}),
        "the cassette format has no such key",
    ),
    "evil key twice": (
        lambda: f"stepreplay: 1\n{json.dumps(EVIL)}: 1\n{json.dumps(EVIL)}: 1\n",
        "second time",
    ),
    "raw escape": (lambda: "stepreplay: 1\ntest: \x1b[2J\ninteractions: []\n", "has a control character"),
    "many problems": (
        lambda: "stepreplay: 1\ninteractions:\n" + "- 1\n" * 1_000_000,
        "interactions[0]: should be a mapping",
    ),
    "many keys": (
        lambda: "stepreplay: 1\n" + "".join(f"a{i}: 1\n" for i in range(300_000)) + "interactions: []\n",
        "has 300,002 keys, and may have 1000",
    ),
    "many events": (
        lambda: (
            "stepreplay: 1\ninteractions:\n- request:\n    method: GET\n    url: u\n  response:\n    status: 200\n"
            "    events:\n" + "    - 1\n" * 1_000_000
        ),
        "interactions[0].response.events[0]: should be text",
    ),
    "half a pair": (
        lambda: '{"stepreplay": 1, "test": "\\ud800", "interactions": []}',
        "half of a surrogate pair",
    ),
    "wrong base64": (
        lambda: (
            "stepreplay: 1\ninteractions:\n- request:\n    method: GET\n    url: u\n  response:\n    status: 200\n"
            "    base64: '%%%'\n"
        ),
        "response.base64: should be valid base64",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_file_is_refused_in_one_message(suite: Suite, attack: str) -> None:
    make, said = ATTACKS[attack]
    suite.write(PLAIN)
    path = suite.cassette()
    path.parent.mkdir(parents=True)
    path.write_text(make(), encoding="utf-8")
    out = replayed(suite)
    assert said in out
    assert obeyed(out) == []
    assert not (suite.pytester.path / "owned").exists()
    assert suite.upstream.count == 0


def test_a_hostile_file_does_not_exhaust_memory(tmp_path: Path) -> None:
    size = 2 << 20
    shapes = {
        "list": "stepreplay: 1\ninteractions:\n" + "- []\n" * (size // 5),
        "flow": "stepreplay: 1\ninteractions: [" + "[]," * (size // 3) + "]\n",
        "json": '{"stepreplay": 1, "interactions": [' + "[]," * (size // 3) + "1]}",
    }
    shapes |= {
        attack: ATTACKS[attack][0]() for attack in ("many problems", "deep JSON", "alias bomb", "many keys")
    }
    paths = [tmp_path / f"{attack}.yaml" for attack in shapes]
    for path in paths:
        path.write_text(shapes[path.stem], encoding="utf-8")
    code = f"""
import os, resource, sys
from pathlib import Path
from pytest_stepreplay.store.cassettes import read_cassette
import yaml
from pytest_stepreplay.errors import CassetteReadError
for path in sys.argv[1:]:
    child = os.fork()
    if child == 0:  # each has the memory for itself
        resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}))
        try: read_cassette(Path(path))
        except CassetteReadError as error: print(error, flush=True)
        os._exit(0)
    print(path, "ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "memory of this machine" not in run.stdout
    for path in paths:
        assert f"{path} ended with 0" in run.stdout, run.stderr
        assert run.stdout.count(str(path)) > 1, f"{path.name} is not refused"


def test_a_gigabyte_is_not_even_opened(suite: Suite) -> None:
    suite.write(PLAIN)
    path = suite.cassette()
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert "test_greeting.yaml: is larger than 32 MiB, the most a cassette may have" in replayed(suite)
    assert "is larger than 32 MiB" in command(suite, "list")


def test_what_could_not_be_read_again_is_not_written(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_stepreplay.store.files.MAX_SIZE", 1 << 20)
    suite.write(PLAIN.replace("Say hello.", "x" * (1 << 20)))
    result = suite.record()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*was not written: it would have 1.0 MiB, and a file of more than 1 MiB is not read", "Record less*"]
    )
    assert suite.cassettes == []


@pytest.mark.parametrize(
    "name", ["../x", "a/../../x", "/tmp/x", "C:\\x", "\\\\host\\x", "a/\x1b[2J", "..", "a\0b"]
)
def test_a_name_leads_nowhere_else(suite: Suite, name: str) -> None:
    suite.write(PLAIN)
    suite.change("@pytest.mark.stepreplay", f"@pytest.mark.stepreplay(cassette={name!r})")
    result = suite.record()
    assert "is not a path that every system allows" in (out := result.stdout.str()) or "a path inside" in out
    assert obeyed(out) == []
    assert suite.upstream.count == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for a privilege to make links")
@pytest.mark.parametrize("what", ["file", "folder", "dangling", "snapshots"])
def test_a_link_out_of_the_folder_is_neither_read_nor_written(suite: Suite, what: str) -> None:
    suite.write(PLAIN + "\n    def test_value(chat_snapshot):\n        assert 'x' == chat_snapshot\n")
    suite.record().assert_outcomes(passed=2)
    folder = suite.cassette("test_chat")
    outside = suite.pytester.path / "outside"
    if what == "folder":
        folder.rename(outside)
        folder.symlink_to(outside, target_is_directory=True)
    else:
        name = "test_value.snapshots.yaml" if what == "snapshots" else "test_greeting.yaml"
        if what == "dangling":
            (folder / name).unlink()
        else:
            (folder / name).rename(outside)
        (folder / name).symlink_to(outside)
    before = [(each, each.read_bytes()) for each in (outside, *outside.rglob("*")) if each.is_file()]
    for args in ([], ["--stepreplay=record"], ["--stepreplay=rewrite"]):
        out = suite.run(*args, key=KEY).stdout.str()
        assert "leads out of cassettes through a symbolic link, so it is neither read nor written" in out
    assert [(each, each.read_bytes()) for each in (outside, *outside.rglob("*")) if each.is_file()] == before
    assert "outside" not in command(suite, "list")


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for a privilege to make links")
def test_a_link_inside_the_folder_is_followed(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    suite.cassette().rename(suite.cassette("real.yaml"))
    suite.cassette().symlink_to(suite.cassette("real.yaml"))
    suite.go_offline()
    suite.run().assert_outcomes(passed=1)


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for a privilege to make links")
def test_accepting_writes_through_no_link_out_of_its_folder(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    path = suite.cassette()
    outside = suite.pytester.path / "outside.yaml"
    path.with_name(path.name + ".new").write_text(
        path.read_text("utf-8") + "pending:\n  base: none\n", "utf-8"
    )
    path.unlink()
    path.symlink_to(outside)
    for args in (["accept", str(path) + ".new"], ["accept", "--all"], ["reject", str(path) + ".new"]):
        command(suite, *args)
    assert not outside.exists()


def evil_cassette(suite: Suite) -> None:
    """Record a test, and put what would be obeyed wherever text can stand in its cassette."""
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    path = suite.cassette()
    tree = {
        "stepreplay": 1,
        "test": EVIL,
        "interactions": [
            {
                "recorded_at": EVIL,
                "request": {
                    "method": EVIL,
                    "url": f"{suite.url}/chat/completions?{EVIL}",
                    "json": {"model": EVIL, EVIL: EVIL, "messages": [{"role": EVIL, "content": EVIL}]},
                },
                "response": {
                    "status": 200,
                    "headers": {"content-type": EVIL},
                    "json": {
                        "id": EVIL,
                        "model": EVIL,
                        "object": "chat.completion",
                        "choices": [
                            {
                                "index": 0,
                                "finish_reason": EVIL,
                                "message": {
                                    "role": "assistant",
                                    "content": EVIL,
                                    "reasoning": EVIL,
                                    "tool_calls": [
                                        {
                                            "id": EVIL,
                                            "type": EVIL,
                                            "function": {"name": EVIL, "arguments": EVIL},
                                        }
                                    ],
                                },
                            }
                        ],
                    },
                },
            }
        ],
    }
    path.write_text(json.dumps(tree), encoding="utf-8")


def test_what_a_cassette_holds_is_obeyed_nowhere(suite: Suite) -> None:
    evil_cassette(suite)
    out = replayed(suite)
    assert "not recorded: " in out
    assert obeyed(out) == []
    other = suite.cassette("other.yaml")
    other.write_bytes(suite.cassette().read_bytes().replace(b"owned", b"0wned"))
    pending = Path(f"{suite.cassette()}.new")
    pending.write_text("stepreplay: 1\ninteractions: []\npending:\n  base: none\n", "utf-8")
    for args in (
        ["list"],
        ["list", "--json"],
        ["show", str(suite.cassette())],
        ["show", str(suite.cassette()), "--json"],
        ["diff", str(suite.cassette()), str(other)],
        ["diff", str(suite.cassette()), str(other), "--json"],
        ["pending"],
        ["accept", "--all"],
    ):
        out = command(suite, *args)
        assert out
        assert obeyed(out) == [], args


def test_the_name_of_a_file_is_obeyed_nowhere(suite: Suite) -> None:
    suite.write(PLAIN)
    suite.record().assert_outcomes(passed=1)
    name = EVIL.replace("/", "")
    suite.cassette(f"{name}.yaml").write_bytes(suite.cassette().read_bytes())
    suite.cassette(f"broken {name}.yaml").write_text("[")
    suite.cassette(f"{name}.yaml.new").write_text("[")
    suite.change("Say hello.", "Say something else.")
    out = suite.run("--stepreplay-unused=error").stdout.str()
    assert "no test uses" in suite.run("--stepreplay-unused=error", key=KEY).stdout.str()
    assert obeyed(out) == []
    for args in (
        ["list"],
        ["show", name],
        ["show", f"broken {name}"],
        ["diff", name, f"broken {name}"],
        ["pending"],
    ):
        assert obeyed(command(suite, *args)) == [], args
