"""`stepreplay list`: which cassettes there are, where it looks for them, and what is unreadable."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pytest_stepreplay.cli.listing import age_of
from pytest_stepreplay.models import Cassette, Interaction, Request, Response
from pytest_stepreplay.store.pending import write_pending

from .conftest import Project, chat, completion


def test_each_cassette_is_one_line(project: Project) -> None:
    now = datetime.now(UTC)
    old = (now - timedelta(days=3, hours=1)).isoformat()
    project.write("cassettes/test_chat/test_a.yaml", chat(recorded_at=old), chat(model="step-3.7-flash"))
    project.write("cassettes/test_chat/test_b.yaml", chat(recorded_at=old), test="test_chat.py::test_b")
    result = project.run("list", "cassettes/test_chat/test_b.yaml")
    head, line, total = result.out.splitlines()
    assert head.split() == ["cassette", "interactions", "models", "tokens", "age", "size"]
    assert line.split()[:6] == ["cassettes/test_chat/test_b.yaml", "1", "step-3.5-flash", "85", "3", "days"]
    assert total == "1 cassette, 1 interaction, 85 tokens"
    assert result.status == 0
    everything = project.run("list").out
    assert "step-3.5-flash, step-3.7-flash" in everything
    assert everything.endswith("2 cassettes, 3 interactions, 255 tokens\n")


def test_json_holds_the_same_for_a_program(project: Project) -> None:
    path = project.write("cassettes/a.yaml", chat(), chat(answer={"error": {}}), test="t.py::test")
    result = project.run("list", "--json")
    assert result.json == {
        "cassettes": [
            {
                "path": "cassettes/a.yaml",
                "size": path.stat().st_size,
                "format": "stepreplay",
                "test": "t.py::test",
                "interactions": 2,
                "models": ["step-3.5-flash"],
                "tokens": 85,
                "recorded_at": "2026-11-22T17:00:00Z",
                "error": None,
            }
        ],
        "total": {"interactions": 2, "tokens": 85},
    }


def test_streams_count_their_tokens_once(project: Project) -> None:
    def event(tokens: int) -> str:
        return (
            '{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[],'
            f'"usage":{{"prompt_tokens":1,"completion_tokens":{tokens},"total_tokens":{tokens + 1}}}}}'
        )

    project.write(
        "cassettes/a.yaml", chat(response=Response(status=200, events=(event(1), event(5), "[DONE]")))
    )
    assert project.run("list", "--json").json["total"]["tokens"] == 6


def test_what_is_no_chat_completion_is_listed_too(project: Project) -> None:
    request = Request(method="GET", url="https://example.com/")
    other = Interaction(request=request, response=Response(status=200, text="hi"))
    project.write(
        "cassettes/a.yaml", other, chat(model=3), chat(answer=completion() | {"usage": {"total_tokens": "x"}})
    )
    (row,) = project.run("list", "--json").json["cassettes"]
    assert (row["interactions"], row["models"], row["tokens"]) == (3, ["step-3.5-flash"], 85)


def test_an_unreadable_cassette_is_named_with_its_line_and_makes_status_1(project: Project) -> None:
    project.write("cassettes/a.yaml", chat())
    (project.path / "cassettes" / "b.yaml").write_text("stepreplay: 1\ninteractions: [\n", encoding="utf-8")
    result = project.run("list")
    assert result.status == 1
    assert "unreadable: cassettes/b.yaml:" in result.out
    assert result.out.endswith("2 cassettes, 1 interaction, 85 tokens, 1 unreadable\n")
    as_json = project.run("list", "--json")
    assert as_json.status == 1
    assert [bool(row["error"]) for row in as_json.json["cassettes"]] == [False, True]
    only_broken = project.run("list", "cassettes/b.yaml")
    assert only_broken.out.startswith("unreadable: ")


def test_a_cassette_that_is_named_twice_is_listed_once(project: Project) -> None:
    project.write("cassettes/a.yaml", chat())
    result = project.run("list", "cassettes", "cassettes/a.yaml", project.path, "--json")
    assert len(result.json["cassettes"]) == 1


def test_no_cassette_is_no_error_and_says_how_to_record(project: Project) -> None:
    result = project.run("list")
    assert (result.status, result.out) == (0, "")
    assert result.err == "There is no cassette in cassettes: record some with pytest --stepreplay=record\n"
    assert project.run("list", "--json").json["cassettes"] == []


def test_a_path_that_does_not_exist_is_bad_usage(project: Project) -> None:
    result = project.run("list", "nowhere")
    assert result.status == 2
    assert "PATHS: 'nowhere' does not exist" in result.err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", "[pytest]\nstepreplay_dir = recorded\n"),
        (".pytest.ini", "[pytest]\nstepreplay_dir=recorded\n"),
        ("pyproject.toml", '[tool.pytest.ini_options]\nstepreplay_dir = "recorded"\n'),
        ("pyproject.toml", '[tool.pytest]\nstepreplay_dir = "recorded"\n'),
        ("pytest.toml", '[pytest]\nstepreplay_dir = "recorded"\n'),
        ("tox.ini", "[pytest]\nstepreplay_dir = recorded\n"),
        ("setup.cfg", "[tool:pytest]\nstepreplay_dir = recorded\n"),
    ],
)
def test_the_folder_is_the_one_of_the_projects_settings(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    project.write("recorded/a.yaml", chat())
    (project.path / name).write_text(text, encoding="utf-8")
    inner = project.path / "src" / "package"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    (row,) = project.run("list", "--json").json["cassettes"]
    assert row["path"] == str(project.path / "recorded" / "a.yaml")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", ""),
        ("setup.cfg", "[metadata]\nname = x\n"),
        ("pyproject.toml", '[project]\nname = "x"\n'),
    ],
)
def test_settings_that_do_not_name_a_folder_leave_the_usual_one(
    project: Project, name: str, text: str
) -> None:
    project.write("cassettes/a.yaml", chat())
    (project.path / name).write_text(text, encoding="utf-8")
    assert len(project.run("list", "--json").json["cassettes"]) == 1


def test_a_pyproject_marks_the_project_from_a_folder_inside(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("cassettes/a.yaml", chat())
    (project.path / "pyproject.toml").write_text('[tool]\npytest = "odd"\n', encoding="utf-8")
    (project.path / "src").mkdir()
    monkeypatch.chdir(project.path / "src")
    assert len(project.run("list", "--json").json["cassettes"]) == 1


@pytest.mark.parametrize(("name", "text"), [("pyproject.toml", "[tool"), ("pytest.ini", "no section")])
def test_broken_settings_are_an_error_that_names_the_file(project: Project, name: str, text: str) -> None:
    (project.path / name).write_text(text, encoding="utf-8")
    result = project.run("list")
    assert result.status == 2
    assert result.err.startswith(f"stepreplay: {name}: ")
    assert result.err.endswith("Fix it, or name a path on the command line\n")


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("recorded_at", "age"),
    [
        ("2026-11-22T11:59:30Z", "just now"),
        ("2026-11-22T12:10:00Z", "just now"),
        ("2026-11-22T11:58:59Z", "1 minute"),
        ("2026-11-22T10:00:00+00:00", "2 hours"),
        ("2026-11-21T12:00:00", "1 day"),
        ("2026-09-01T12:00:00Z", "2 months"),
        ("2020-01-01T00:00:00Z", "6 years"),
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_age_is_told_in_one_unit(recorded_at: str | None, age: str) -> None:
    assert age_of(recorded_at, NOW) == age


def test_stats_add_it_all_up(project: Project) -> None:
    now = datetime.now(UTC)
    ages = [(now - timedelta(days=days)).isoformat() for days in (1, 40, 100, 800)]
    project.write("cassettes/a.yaml", *(chat(recorded_at=each) for each in ages))
    failed = Response(status=429, json={"error": {}})
    project.write(
        "cassettes/b.yaml",
        chat(model="step-3.7-flash", url="https://api.stepfun.ai/v1/chat/completions", recorded_at=None),
        chat(model=3, response=failed, recorded_at="some day"),
    )
    found = project.run("list", "--stats", "--json")
    assert found.status == 0
    stats = found.json["stats"]
    assert stats["models"] == {
        "step-3.5-flash": {
            "interactions": 4,
            "prompt_tokens": 332,
            "completion_tokens": 8,
            "total_tokens": 340,
        },
        "not known": {"interactions": 1, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        "step-3.7-flash": {
            "interactions": 1,
            "prompt_tokens": 83,
            "completion_tokens": 2,
            "total_tokens": 85,
        },
    }
    assert {host: share["interactions"] for host, share in stats["hosts"].items()} == {
        "api.stepfun.com": 5,
        "api.stepfun.ai": 1,
    }
    assert stats["ages"] == {
        "up to 30 days": 1,
        "up to 90 days": 1,
        "up to a year": 1,
        "older": 1,
        "not known": 2,
    }
    sizes = {name: (project.path / name).stat().st_size for name in ("cassettes/a.yaml", "cassettes/b.yaml")}
    assert (stats["largest"], stats["size"]) == (sizes, sum(sizes.values()))
    assert (stats["oldest"], stats["newest"]) == (ages[3], ages[0])
    assert (stats["interactions"], stats["errors"], stats["streamed"], stats["cassettes"]) == (6, 1, 0, 2)
    out = project.run("list", "--stats").out
    assert "step-3.5-flash             4     332           8     340" in out.splitlines()
    assert "api.stepfun.com             5     332           8     340" in out.splitlines()
    assert out.splitlines()[-1].startswith("2 cassettes, 6 interactions, 425 tokens, ")
    assert out.endswith("1 errors, recorded 2 years to 1 day ago\n")


def test_stats_by_endpoint_and_in_money(project: Project) -> None:
    project.write("cassettes/a.yaml", chat(), chat(model="other"))
    (project.path / "pytest.ini").write_text(
        "[pytest]\nstepreplay_prices = step-*: $10000 $100000\n", encoding="utf-8"
    )
    stats = project.run("list", "--stats", "--json").json["stats"]
    assert stats["endpoints"]["chat"]["interactions"] == 2
    assert (
        stats["models"]["step-3.5-flash"]["cost"]
        == stats["cost"]
        == stats["endpoints"]["chat"]["cost"]
        == 1.03
    )
    assert "cost" not in stats["models"]["other"]
    lines = project.run("list", "--stats").out.splitlines()
    assert "step-3.5-flash             1      83           2      85  $1.03" in lines
    assert "other                      1      83           2      85      ?" in lines
    assert "chat                 2     166           4     170  $1.03" in lines
    assert " kB, $1.03, " in lines[-1]


def test_stats_of_nothing_are_one_line(project: Project) -> None:
    result = project.run("list", "--stats")
    assert (result.status, result.out) == (0, "")
    assert result.err == "There is no cassette in cassettes: record some with pytest --stepreplay=record\n"
    assert project.run("list", "--stats", "--json").json["stats"]["cassettes"] == 0


@pytest.mark.parametrize("marker", ["cassettes", "setup.py"])
def test_without_an_ini_file_the_project_is_found_from_its_folders(
    project: Project, monkeypatch: pytest.MonkeyPatch, marker: str
) -> None:
    """Without a file that names it, pytest's rootdir was the folder where it was started."""
    project.write("cassettes/test_chat/test_one.yaml", chat(), test="tests/test_chat.py::test_one")
    if marker == "setup.py":  # as pytest has it, whatever lies above
        project.write("inner/cassettes/test_two.yaml", chat(), test="tests/test_chat.py::test_two")
        (project.path / "inner/setup.py").touch()
    folder = project.path / ("inner" if marker == "setup.py" else ".") / "tests/deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    found = project.run("list", "--json").json["cassettes"]
    name = "test_two" if marker == "setup.py" else "test_one"
    assert [each["test"] for each in found] == [f"tests/test_chat.py::{name}"]
    assert project.run("show", name).status == 0


def test_another_repositorys_cassettes_are_not_the_projects(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("cassettes/test_one.yaml", chat())
    (project.path / "other/.git").mkdir(parents=True)
    (project.path / "other/tests").mkdir()
    monkeypatch.chdir(project.path / "other/tests")
    result = project.run("list")
    assert result.err == "There is no cassette in cassettes: record some with pytest --stepreplay=record\n"


def test_stats_name_what_is_unreadable(project: Project) -> None:
    (project.path / "cassettes").mkdir()
    (project.path / "cassettes" / "b.yaml").write_text("stepreplay: 1\ninteractions: [\n", encoding="utf-8")
    result = project.run("list", "--stats")
    assert result.status == 1
    assert "unreadable: cassettes/b.yaml:" in result.out
    found = project.run("list", "--stats", "--json")
    assert (found.status, [*found.json["unreadable"]]) == (1, ["cassettes/b.yaml"])
    assert found.json["stats"]["oldest"] is None


def test_a_pending_file_is_listed_as_the_version_that_it_holds(project: Project) -> None:
    path = project.write("cassettes/test_chat/test_hello.yaml", chat(answer="Hi."))
    new = write_pending(path, Cassette(interactions=(chat(answer="Bye."),)))
    assert "1 interaction" in project.run("list", "--stats", str(new)).out
    listed = project.run("list", str(new))
    assert listed.status == 0 and "unreadable" not in listed.out
    assert "test_hello.yaml.new" in listed.out and "1 interaction" in listed.out
    waiting = write_pending(
        path.with_name("test_hello.snapshots.yaml"),
        {"stepreplay": 1, "test": "t", "snapshots": {"1": "Bye."}},
    )
    assert "holds snapshots, and no interaction" in project.run("list", str(waiting)).out
