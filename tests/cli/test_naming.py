"""A cassette is named by its path, its name, or its test, in every command; a wrong name gets the nearest ones."""

from __future__ import annotations

import json
import shutil

import pytest

from pytest_stepreplay.housekeeping.last_run import LastRun, render_last_run
from pytest_stepreplay.models import Cassette
from pytest_stepreplay.store.pending import pending_path, write_pending
from pytest_stepreplay.store.snapshot_files import write_snapshots

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


VCR = """
interactions:
- request:
    method: POST
    uri: https://api.stepfun.com/v1/chat/completions
    body: '{"model": "step-3.5-flash", "messages": [{"role": "user", "content": "Say hello."}]}'
    headers: {content-type: [application/json]}
  response:
    status: {code: 200, message: OK}
    headers: {content-type: [application/json]}
    body: {string: '{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi!"}}]}'}
version: 1
"""
ADOPTED = {
    "tests/cassettes/test_bot/test_agent.yaml": "tests/test_bot.py::test_agent",
    "tests/cassettes/test_bot/TestChat.test_again.yaml": "tests/test_bot.py::TestChat::test_again",
    "tests/cassettes/test_bot/test_lang[en].yaml": "tests/test_bot.py::test_lang[en]",
    "tests/cassettes/test_flat.yaml": "tests/test_other.py::test_flat",
    "taped/by_hand.yaml": "tests/test_noted.py::test_noted",
}


@pytest.fixture
def adopted(project: Project) -> Project:
    """A project whose tests have their cassettes where pytest-recording, pytest-vcr and a fixture of theirs put them."""
    shutil.rmtree(project.path / "cassettes")
    (project.path / "pytest.ini").write_text("[pytest]\nstepreplay_adopt_vcr_marker = true\n")
    for path, test in ADOPTED.items():
        file = project.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(VCR)
        module, _, name = test.partition("::")
        with (project.path / module).open("a") as code:
            code.write(f"def {name.rpartition('::')[2].partition('[')[0]}(): pass\n")
    (cache := project.path / ".pytest_cache/v/stepreplay").mkdir(parents=True)
    noted = {str(project.path / "taped/by_hand.yaml"): "tests/test_noted.py::test_noted"}
    run = LastRun((), complete=True, folders=(), owned=(), elsewhere=noted)
    (cache / "last_run").write_text(json.dumps(render_last_run(run)))
    return project


@pytest.mark.parametrize("folder", [".", "tests"])
@pytest.mark.parametrize("path", ADOPTED)
def test_what_another_tool_recorded_is_found_by_its_test(
    adopted: Project, monkeypatch: pytest.MonkeyPatch, folder: str, path: str
) -> None:
    test = ADOPTED[path]
    monkeypatch.chdir(folder)
    shown = str(adopted.path / path) if folder == "tests" and not path.startswith("tests/") else path
    shown = shown.removeprefix(f"{folder}/")
    for name in (test, test.rpartition("::")[2], test.removeprefix("tests/")):
        assert adopted.run("show", name, "--json").json["path"] == shown, name
        assert adopted.run("diff", name, adopted.path / path).status == 0
        assert adopted.run("lint", name, "--json").json["files"] == 1
    assert adopted.run("accept", test).err.startswith(f"stepreplay: {test}: nothing is pending for it")


def test_what_the_tests_of_a_project_have_elsewhere_is_listed_and_linted(adopted: Project) -> None:
    listed = adopted.run("list", "--json").json["cassettes"]
    assert {each["path"] for each in listed} == {*ADOPTED}
    assert adopted.run("lint", "--json").json["files"] == len(ADOPTED)
    path = adopted.path / "tests/cassettes/test_bot/test_agent.yaml"
    write_pending(path, Cassette(interactions=(chat(answer=completion("Something else.")),)))
    (waiting,) = adopted.run("pending", "--json").json["pending"]
    assert waiting["path"] == "tests/cassettes/test_bot/test_agent.yaml.new"
    refused = adopted.run("accept", "test_agent")
    assert refused.status == 1
    assert "is a cassette of another tool" in refused.err


def test_a_module_is_found_by_the_end_of_its_path_where_that_is_clear(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.path / "tests/unit").mkdir()
    monkeypatch.chdir("tests/unit")
    assert project.run("show", "test_bot.py::test_agent", "--json").json["test"] == FILES[ONE[0][1]]
    monkeypatch.chdir(project.path)
    project.write("cassettes/more/test_bot/test_agent.yaml", chat(), test="more/test_bot.py::test_agent")
    assert "there is more than one; say which" in project.run("show", "test_bot.py::test_agent").err


def test_a_glob_is_looked_for_in_all_folders(project: Project) -> None:
    assert project.run("show", "test_ag*t", "--json").json["test"] == "tests/test_bot.py::test_agent"
    assert "there is more than one; say which" in project.run("show", "test_lang*").err
    assert len(project.run("list", "test_lang*", "--json").json["cassettes"]) == 2
    assert len(project.run("list", "tests/test_bot/*", "--json").json["cassettes"]) == 4
    assert len(project.run("pending", "tests/test_bot.py::*", "--json").json["pending"]) == 4
    assert len(project.run("reject", "*lang*").out.splitlines()) == 2
