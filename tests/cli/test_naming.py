"""A cassette is named by its path, its name, or its test, in every command; a wrong name gets the nearest ones."""

from __future__ import annotations

import pytest

from pytest_stepreplay.models import Cassette
from pytest_stepreplay.store.pending import pending_path, write_pending
from pytest_stepreplay.store.snapshots import write_snapshots

from .conftest import Project, chat, completion, user

FILES = {
    "tests/test_bot/test_agent": "tests/test_bot.py::test_agent",
    "tests/test_bot/test_lang[English]-7792b4e6": "tests/test_bot.py::test_lang[English]",
    "tests/test_bot/test_lang[a-b]-fa8b893f": "tests/test_bot.py::test_lang[a/b]",
    "tests/test_bot/TestChat.test_again": "tests/test_bot.py::TestChat::test_again",
    "tests/test_one/test_same": "tests/test_one.py::test_same",
    "tests/test_two/test_same": "tests/test_two.py::test_same",
    "shared/login": "tests/test_two.py::test_login[it's]",
}


@pytest.fixture
def project(project: Project) -> Project:
    """A project with cassettes, an ini file, and a change that waits for each of them."""
    (project.path / "pytest.ini").write_text("[pytest]\n")
    (project.path / "tests").mkdir()
    for place, test in FILES.items():
        said = chat(user(f"I am {place}."))
        path = project.write(f"cassettes/{place}.yaml", said, test=test)
        new = chat(user(f"I am {place}."), answer=completion("Something else."))
        write_pending(path, Cassette(test=test, interactions=(new,)))
    return project


ONE = [
    ("test_agent", "tests/test_bot/test_agent"),
    ("tests/test_bot.py::test_agent", "tests/test_bot/test_agent"),
    ("tests/test_bot/test_agent", "tests/test_bot/test_agent"),
    ("test_bot/test_agent.yaml", "tests/test_bot/test_agent"),
    ("cassettes/tests/test_bot/test_agent", "tests/test_bot/test_agent"),
    ("tests/test_bot/test_lang[English]", "tests/test_bot/test_lang[English]-7792b4e6"),
    ("test_lang[English]", "tests/test_bot/test_lang[English]-7792b4e6"),
    ("tests/test_bot.py::test_lang[English]", "tests/test_bot/test_lang[English]-7792b4e6"),
    ("tests/test_bot.py::test_lang[a/b]", "tests/test_bot/test_lang[a-b]-fa8b893f"),
    ("test_again", "tests/test_bot/TestChat.test_again"),
    ("TestChat.test_again", "tests/test_bot/TestChat.test_again"),
    ("tests/test_bot.py::TestChat::test_again", "tests/test_bot/TestChat.test_again"),
    ("tests/test_one.py::test_same", "tests/test_one/test_same"),
    ("test_one/test_same", "tests/test_one/test_same"),
    ("login", "shared/login"),
    ("test_login", "shared/login"),
    ("tests/test_two.py::test_login", "shared/login"),
    ("tests/test_two.py::test_login[it's]", "shared/login"),
]


@pytest.mark.parametrize(("name", "place"), ONE)
def test_every_command_finds_a_cassette_by_its_name_and_by_its_test(
    project: Project, name: str, place: str
) -> None:
    path = f"cassettes/{place}.yaml"
    assert project.run("show", name, "--json").json["path"] == path
    assert project.run("diff", name, path).status == 0
    assert [each["path"] for each in project.run("list", name, "--json").json["cassettes"]] == [path]
    assert project.run("lint", name, "--json").json["files"] == 1
    assert project.run("convert", "--dry-run", name).status == 0
    (waiting,) = project.run("pending", name, "--json").json["pending"]
    assert waiting["path"] == f"{path}.new"
    assert project.run("accept", name).out == f"accepted {path}: interaction 1\n"
    assert not pending_path(project.path / path).exists()


def test_an_id_is_that_of_the_folder_where_one_stands(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("tests")
    for name in ("test_bot.py::test_agent", "tests/test_bot.py::test_agent", "test_agent"):
        result = project.run("show", name, "--json")
        assert result.json["test"] == "tests/test_bot.py::test_agent"


def test_a_function_stands_for_all_its_parameters_where_several_will_do(project: Project) -> None:
    result = project.run("reject", "tests/test_bot.py::test_lang")
    assert (result.status, len(result.out.splitlines())) == (0, 2)
    assert len(project.run("list", "tests/test_bot.py", "--json").json["cassettes"]) == 4
    result = project.run("show", "test_lang")
    assert result.status == 2
    assert "test_lang: there is more than one; say which:" in result.err


def test_a_name_of_several_tests_is_not_guessed(project: Project) -> None:
    for command in ("show", "accept", "list"):
        result = project.run(command, "test_same")
        assert result.status == 2
        assert (
            "test_same: there is more than one; say which:\n  cassettes/tests/test_one/test_same.yaml\n  cassettes/tests/test_two/test_same.yaml"
            in result.err
        )
    assert pending_path(project.path / "cassettes/tests/test_one/test_same.yaml").exists()


@pytest.mark.parametrize(
    "command", ["show", "list", "lint", "convert", "pending", "review", "accept", "reject"]
)
def test_a_wrong_name_gets_the_nearest_ones(project: Project, command: str) -> None:
    for name in ("test_agnet", "tests/test_bot.py::test_agnt", "test_bot/test_agemt"):
        result = project.run(command, name)
        assert result.status == 2
        assert "Did you mean cassettes/tests/test_bot/test_agent.yaml" in result.err
        assert "Traceback" not in result.err
    assert "Did you mean" not in project.run(command, "qqqqqqqqqqqq").err


def test_brackets_are_a_name_first_and_then_a_glob(project: Project) -> None:
    assert "English" in project.run("accept", "cassettes/tests/test_bot/test_lang[English]").out
    result = project.run("pending", "cassettes/tests/test_[ot]*/test_same.yaml*", "--json")
    assert len(result.json["pending"]) == 2


def test_a_pending_file_is_read_as_what_it_is(project: Project) -> None:
    path = "cassettes/tests/test_bot/test_agent.yaml"
    shown = project.run("show", f"{path}.new")
    assert shown.status == 0
    assert "Something else." in shown.out
    assert "a new version, which is pending" in shown.out
    result = project.run("diff", path, f"{path}.new", "--json")
    assert (result.status, result.json["level"]) == (1, "content")
    (project.path / path).unlink()  # of a new cassette nothing but the pending file is there
    assert project.run("show", "test_agent").status == 0


def test_snapshots_are_read_as_what_they_are(project: Project) -> None:
    path = project.path / "cassettes/tests/test_bot/test_plan.snapshots.yaml"
    write_snapshots(path, "tests/test_bot.py::test_plan", {"plan": {"city": "Paris"}})
    write_pending(
        path,
        {"stepreplay": 1, "test": "tests/test_bot.py::test_plan", "snapshots": {"plan": {"city": "Rome"}}},
    )
    assert "Paris" in project.run("show", path).out
    assert "Rome" in project.run("show", f"{path}.new").out
    assert project.run("diff", path, f"{path}.new").status == 1
    assert project.run("accept", "tests/test_bot.py::test_plan").status == 0
    assert "Rome" in project.run("show", path).out
