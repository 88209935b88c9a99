"""Each test has a file of its own, under a name that every system allows; no name leads out of the folder."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory
from unicodedata import normalize

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pytest_stepreplay.errors import SettingsError
from pytest_stepreplay.store.paths import ModuleCassettes, cassette_path, iter_cassettes, named_path

ROOT = Path("cassettes")
MODULE = PurePosixPath("tests/unit/test_chat.py")
HASH = r"-[0-9a-f]{8}"


def name_of(test: str) -> str:
    path = cassette_path(ROOT, MODULE, test)
    assert path.parent == ROOT / "tests" / "unit" / "test_chat"
    assert path.suffix == ".yaml"
    return path.name.removesuffix(".yaml")


@pytest.mark.parametrize(
    "test",
    [
        "test_greeting",
        "TestChat.test_greeting",
        "TestChat.TestInner.test_x[a-b]",
        "test_x[step-3.5-flash-two words]",
        "test_x[你好]",
        "test_x[a=b,c%d~e!]",
        "client[0].fixture",
        "test_x[A]",
        "test_x[English-a b]",
        "test_X",
        "test_x[ß]",
    ],
)
def test_ordinary_names_are_kept(test: str) -> None:
    assert name_of(test) == test


@pytest.mark.parametrize(
    ("test", "readable"),
    [
        ("test_x[a/b]", "test_x[a-b]"),
        ('test_x[\\ : * ? " < > |]', "test_x[- - - - - - - -]"),
        ("test_x[a\nb\x00]", "test_x[a-b-]"),
        ("test_x[\\\\u4f60]", "test_x[-u4f60]"),
        ("test_x[\\ud83d]", "test_x[-]"),
        ("test_x[a\u202eb\u200b]", "test_x[a-b-]"),
        ("test_x[e\u0301]", "test_x[é]"),
        ("test_x. ", "test_x"),
        (".hidden", "hidden"),
        ("con", "con"),
        ("NUL", "NUL"),
        ("nul.txt", "nul-.txt"),
        ("com1", "com1"),
        ("lpt³ .x", "lpt³- .x"),
        ("test_x-0123abcd", "test_x-0123abcd"),
        ("", "test"),
        ("...", "test"),
        ("test_" + "x" * 200, "test_" + "x" * 86),
        ("test_" + "你" * 60, "test_" + "你" * 45),
    ],
)
def test_other_names_stay_readable_and_get_a_hash(test: str, readable: str) -> None:
    assert re.fullmatch(re.escape(readable) + HASH, name_of(test))


@pytest.mark.parametrize(
    ("test", "kept"),
    [("test_x[\\u4f60\\u597d]", "test_x[你好]"), ("test_x[\\xe9-\\U0001f600]", "test_x[é-😀]")],
)
def test_what_pytest_escapes_stands_as_it_is(test: str, kept: str) -> None:
    assert name_of(test) == kept


def files_of(tmp_path: Path, *names: str) -> dict[str, str]:
    """Returns the file of each test of a module, as a new run sees them."""
    module = ModuleCassettes(tmp_path, PurePath("test_x.py"), names)
    return {name: module.path_of(name).name.removesuffix(".yaml") for name in names}


@pytest.mark.parametrize(
    ("names", "hashed"),
    [
        (("x[English]", "x[french]"), ()),
        (("x[English]", "x[english]"), ("x[English]",)),
        (("x[English]", "x[ENGLISH]"), ("x[English]", "x[ENGLISH]")),
        (("test_Chat", "test_chat"), ("test_Chat",)),
        (("x[ß]", "x[ss]"), ("x[ß]",)),
        (("x[\\u4f60]", "x[你]"), ("x[\\u4f60]",)),
        (("x[a/b]", "x[a-b]"), ("x[a/b]",)),
        (("A.test_x", "A.test_X"), ("A.test_X",)),
    ],
)  # fmt: skip
def test_a_hash_stands_where_two_names_of_a_module_leave_a_doubt(
    tmp_path: Path, names: tuple[str, ...], hashed: tuple[str, ...]
) -> None:
    found = files_of(tmp_path, *names)
    assert {name for name, file in found.items() if re.search(f"{HASH}$", file)} == {*hashed}
    assert len({normalize("NFC", file.casefold()) for file in found.values()}) == len(names)


def test_a_file_that_is_there_stays_the_test_s(tmp_path: Path) -> None:
    folder = tmp_path / "test_x"
    folder.mkdir()
    (folder / "x[English]-bb722b52.yaml").touch()  # as an earlier release called it
    assert files_of(tmp_path, "x[English]") == {"x[English]": "x[English]-bb722b52"}
    (folder / "x[English]-bb722b52.yaml").rename(folder / "x[English].snapshots.yaml")
    (english,) = files_of(tmp_path, "x[English]").values()
    assert english == "x[English]"
    found = files_of(tmp_path, "x[English]", "x[english]")  # the second test is new
    assert found["x[English]"] == "x[English]"
    assert re.fullmatch(rf"x\[english\]{HASH}", found["x[english]"])
    found = files_of(tmp_path, "x[english]")  # the file of another test, where case is ignored
    assert re.fullmatch(rf"x\[english\]{HASH}", found["x[english]"])


def test_a_hash_is_the_same_in_every_run() -> None:
    assert name_of("test_x[a/b]") == "test_x[a-b]-804c3669"


CHARACTERS = st.sampled_from(
    'aAbB.-_ []/\\:*?"<>|\x00\n\x85\u2028\ufeff\ud800éÉe\u0301ßsS\u017f\u0131İIi你😀Kk\u212a10xu4f60con'
)
names = (
    st.text(CHARACTERS, max_size=12)
    | st.text(max_size=160)
    | st.sampled_from(["con", "CON", "nul.x", "aux", "COM1"])
)
RESERVED = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{p}{n}" for p in ("COM", "LPT") for n in "0123456789¹²³"
}


def is_allowed_everywhere(part: str) -> bool:
    return (
        0 < len(part.encode()) <= 255
        and not re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]', part)
        and part[-1] not in ". "
        and part[0] not in ". "
        and part.partition(".")[0].rstrip(" ").upper() not in RESERVED
        and normalize("NFC", part) == part
    )


def without_class(test: str) -> tuple[str, str]:
    head, bracket, parameters = test.partition("[")
    classes, _, function = head.rpartition(".")
    return classes, function + bracket + parameters


@given(names, names, st.booleans(), st.booleans())
@example("test[\ud800]", "test[\ud801]", False, False)
@example("test[e\u0301]", "test[é]", False, False)
@example("test[K]", "test[\u212a]", True, False)
@example("x[\\u4f60]", "x[你]", False, True)
@example("x-0123abcd", "x?", False, False)
@example("x[A]", "x[a]", True, False)
def test_different_tests_never_share_a_file(one: str, other: str, first_alone: bool, reverse: bool) -> None:
    assume(one != other)
    with TemporaryDirectory() as folder:
        root, tests = Path(folder), (other, one) if reverse else (one, other)
        if first_alone:  # the other test is written later
            (path,) = (ModuleCassettes(root, MODULE, [one]).path_of(one),)
            path.parent.mkdir(parents=True)
            path.touch()
        module = ModuleCassettes(root, MODULE, tests)
        first, second = module.path_of(one), module.path_of(other)
        assert not first_alone or first == path
        assert all(is_allowed_everywhere(part) for part in (first.name, second.name))
        assert first != second
        (class_of_one, rest_of_one), (class_of_other, rest_of_other) = (
            without_class(one),
            without_class(other),
        )
        if (class_of_one.lower(), rest_of_one) != (class_of_other.lower(), rest_of_other):
            assert normalize("NFC", str(first).casefold()) != normalize("NFC", str(second).casefold())
        first.parent.mkdir(parents=True, exist_ok=True)
        first.touch()
        second.touch()
        again = ModuleCassettes(root, MODULE, tests)
        assert (again.path_of(one), again.path_of(other)) == (first, second)


@given(names.filter(lambda name: name not in {"", ".", ".."} and "/" not in name))
def test_a_file_stays_below_the_root(name: str) -> None:
    for module in (
        PurePosixPath(name, "test_a.py"),
        PurePosixPath("..", name, "test_a.py"),
        PurePosixPath("/", name),
    ):
        path = cassette_path(ROOT, module, "test_x")
        assert path.is_relative_to(ROOT)
        assert ".." not in path.parts
        assert all(is_allowed_everywhere(part) for part in path.parts)


def test_modules_keep_their_folders() -> None:
    assert cassette_path(ROOT, PurePath("test_a.py"), "t") == ROOT / "test_a" / "t.yaml"
    assert cassette_path(ROOT, PurePath("Tests/README.md"), "t") == ROOT / "Tests" / "README.md" / "t.yaml"
    assert re.fullmatch(f"a-b{HASH}", cassette_path(ROOT, PurePosixPath("a:b/test_a.py"), "t").parts[1])


def test_modules_outside_of_the_project_do_not_share_folders() -> None:
    paths = [
        cassette_path(ROOT, module, "t")
        for module in (
            PurePosixPath("../other/test_a.py"),
            PurePosixPath("../another/test_a.py"),
            PurePosixPath("/srv/test_a.py"),
            PureWindowsPath("D:\\srv\\test_a.py"),
            PurePosixPath("test_a.py"),
        )
    ]
    assert len(set(paths)) == len(paths)
    assert all(re.fullmatch(f"test_a{HASH}", path.parts[1]) for path in paths[:-1])


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("login", "login.yaml"),
        ("shared/login", "shared/login.yaml"),
        ("shared\\login.yml", "shared/login.yml"),
        ("old.json", "old.json"),
        ("Login.YAML", "Login.YAML"),
        ("v1.2", "v1.2.yaml"),
        ("./你好 x", "你好 x.yaml"),
    ],
)
def test_a_named_cassette_is_below_the_root(name: str, path: str) -> None:
    assert named_path(ROOT, name) == ROOT / path


@pytest.mark.parametrize(
    "name", ["/x", "\\x", "C:x", "C:\\x", "\\\\host\\share\\x", "..", "../x", "a/../../x", "a\\..\\x"]
)
def test_a_named_cassette_cannot_be_elsewhere(name: str) -> None:
    with pytest.raises(SettingsError, match="must be a path inside cassettes, such as 'shared/login'"):
        named_path(ROOT, name)


@pytest.mark.parametrize("name", ["", ".", "./."])
def test_a_named_cassette_needs_a_name(name: str) -> None:
    with pytest.raises(SettingsError, match=r"cassette='.*'"):
        named_path(ROOT, name)


@pytest.mark.parametrize(
    "name", ["a//b", "a/", "a?", "a\0", "a.", " a", ".a", "NUL", "a/con.yaml", "e\u0301"]
)
def test_a_named_cassette_must_be_possible_everywhere(name: str) -> None:
    with pytest.raises(SettingsError, match="is not a path that every system allows"):
        named_path(ROOT, name)


@pytest.mark.skipif(os.name == "nt", reason="Windows asks for a privilege to make links")
def test_a_named_cassette_cannot_follow_a_link_out_of_the_root(tmp_path: Path) -> None:
    root = tmp_path / "cassettes"
    (root / "inside").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root / "inside")
    assert named_path(root, "in/x") == root / "in" / "x.yaml"
    with pytest.raises(SettingsError, match=r"leads out of .* through a symbolic link"):
        named_path(root, "out/x")


def test_all_cassettes_of_a_folder_are_found_in_order(tmp_path: Path) -> None:
    root = tmp_path / "cassettes"
    assert list(iter_cassettes(root)) == []
    for name in (
        "b/x.yaml",
        "a.yml",
        "b/a.json",
        "b/x.yaml.new",
        "b/.x.yaml.1a2b3c4d.tmp",
        ".hidden/x.yaml",
        "n.txt",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "folder.yaml").mkdir()
    if os.name != "nt":
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "x.yaml").touch()
        (root / "link").symlink_to(tmp_path / "elsewhere")
    assert [path.relative_to(root).as_posix() for path in iter_cassettes(root)] == [
        "a.yml",
        "b/a.json",
        "b/x.yaml",
    ]
