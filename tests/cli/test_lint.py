"""`stepreplay lint`: one line for each problem, in cassettes of any tool, and secrets replaced where that is safe."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import string
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from pytest_stepreplay.models import Interaction, Response
from pytest_stepreplay.store.cassettes import read_cassette

from .conftest import Project, chat, user

UUID = "b7b56af0-52a6-483f-a589-948182676a1b"
# Made here, so that this file holds no key.
KEY = "sk-" + "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=48))


def write(project: Project, name: str, text: str) -> None:
    path = project.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


VCR = """interactions:
- request:
    body: '{{"messages": [{{"role": "user", "content": "hi"}}]}}'
    headers:
      authorization:
      - Bearer {key}
      user-agent: [test]
    method: POST
    uri: https://api.stepfun.com/v1/chat/completions
  response:
    body: {{string: '{{"error": {{"message": "no", "note": "{key}"}}}}'}}
    headers:
      content-type: [application/json]
      set-cookie:
      - {key}
    status: {{code: 401, message: Unauthorized}}
version: 1
"""


def ours(key: str) -> str:
    """Returns the text of a cassette with a key in it, as no writer of ours would write it."""
    return f"""stepreplay: 1
test: t.py::test
interactions:
- request:
    method: POST
    url: https://api.stepfun.com/v1/chat/completions
    json:
      messages:
      - role: user
        content: Use {key} for it.
  response:
    status: 200
    json: {{}}
"""


def test_a_good_project_has_no_problems(project: Project) -> None:
    project.write("cassettes/a.yaml", chat())
    project.write("cassettes/b.yaml", chat())
    result = project.run("lint")
    assert (result.status, result.out) == (0, "2 files, no problems\n")


def test_each_problem_is_a_line_with_file_line_and_place(project: Project) -> None:
    project.write("cassettes/a.yaml", chat(), chat(user(f"session {UUID}")))
    result = project.run("lint")
    assert result.status == 1
    assert result.out == (
        "cassettes/a.yaml:39: interaction 2, request.json.messages[0].content: holds a UUID, which differs in each run; "
        "send a fixed value in tests, or set stepreplay_ignore_request = messages[0].content\n"
        "1 file, 1 problem\n"
    )


def test_json_holds_the_same_for_a_program(project: Project) -> None:
    write(project, "cassettes/a.yaml", ours(KEY))
    result = project.run("lint", "--json")
    assert result.status == 1
    assert result.json == {
        "files": 1,
        "fixed": 0,
        "problems": [
            {
                "path": "cassettes/a.yaml",
                "line": 10,
                "check": "secret",
                "place": "interaction 1, request.json.messages[0].content",
                "what": "holds an API key of the form sk-...",
                "fix": "revoke it, then: stepreplay lint --fix",
            }
        ],
    }
    assert KEY not in result.out


def test_secrets_in_a_vcrpy_cassette_are_found_in_headers_too(project: Project) -> None:
    write(project, "cassettes/vcr.yaml", VCR.format(key=KEY))
    result = project.run("lint", "cassettes/vcr.yaml")
    places = [line.split(": ")[1] for line in result.out.splitlines()[:-1]]
    assert sorted(places) == [
        "interaction 1, request.headers.authorization[0]",
        "interaction 1, response.body.string",
        "interaction 1, response.headers.set-cookie[0]",
    ]
    assert KEY not in result.out
    assert result.out.endswith("1 file, 3 problems\n")


def test_placeholders_in_a_vcrpy_cassette_are_no_alarm(project: Project) -> None:
    for key in (
        "test",
        "AUTHORIZATION-XXX",
        "sk-xxxxxxxxxxxxxxxxxxxx",
        "DUMMY",
        "sk-fake-key-for-testing-123",
    ):
        write(project, "cassettes/vcr.yaml", VCR.format(key=key))
        assert project.run("lint").status == 0, key


@pytest.mark.parametrize("text", [ours(KEY), VCR.format(key=KEY), VCR.replace("Bearer ", "").format(key=KEY)])
def test_fix_replaces_secrets_and_nothing_else(project: Project, text: str) -> None:
    write(project, "cassettes/a.yaml", text)
    before = read_cassette(project.path / "cassettes/a.yaml").cassette
    result = project.run("lint", "--fix")
    assert result.status == 0
    assert "no problems, " in result.out
    fixed = (project.path / "cassettes/a.yaml").read_text(encoding="utf-8")
    assert KEY not in fixed
    # In YAML a text without quotes cannot start with a bracket.
    assert fixed in {text.replace(KEY, "[redacted]"), text.replace(KEY, "REDACTED")}
    after = read_cassette(project.path / "cassettes/a.yaml").cassette
    assert len(after.interactions) == len(before.interactions)
    assert project.run("lint", "--fix").out == "1 file, no problems\n"


def test_what_cannot_be_replaced_safely_stays_and_is_told(project: Project) -> None:
    inside = base64.b64encode(f"key: {KEY}".encode()).decode()
    text = ours("it").replace("    json: {}\n", f"    base64: {inside}\n")
    write(project, "cassettes/a.yaml", text)
    result = project.run("lint", "--fix")
    assert result.status == 1
    assert (
        "response.base64: holds an API key of the form sk-..., in base64; --fix could not replace it safely"
        in result.out
    )
    assert (project.path / "cassettes/a.yaml").read_text(encoding="utf-8") == text
    escaped = KEY.replace("s", "\\u0073", 1)
    write(project, "cassettes/a.yaml", ours("it").replace("Use it for it.", f'"{escaped}\\n"'))
    assert project.run("lint", "--fix").status == 1


def test_a_cassette_that_would_not_be_read_any_more_is_left(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The value of a variable in base64, all of it: neither placeholder is base64 there.
    text = ours("it").replace("    json: {}\n", "    base64: UGFzc3cwcmQhUGFzc3cwcmQh\n")
    monkeypatch.setenv("SHOP_PASSWORD", "sw0rd!Passw0rd!")
    write(project, "cassettes/a.yaml", text)
    assert project.run("lint", "--fix").status == 1
    assert (project.path / "cassettes/a.yaml").read_text(encoding="utf-8") == text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_told(project: Project) -> None:
    write(project, "cassettes/a.yaml", ours("it"))
    (project.path / "cassettes/a.yaml").chmod(0)
    assert "cannot be read" in project.run("lint").out


def test_values_of_the_environment_are_secrets_in_any_cassette(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "correct horse")
    write(project, "cassettes/a.yaml", ours("correct horse"))
    result = project.run("lint")
    assert "holds the value of a secret variable or setting" in result.out
    assert "correct horse" not in result.out


def test_snapshots_and_pending_files_are_searched_for_secrets(project: Project) -> None:
    write(
        project,
        "cassettes/a.snapshots.yaml",
        f"stepreplay: 1\ntest: t\nsnapshots:\n  '1': Use {KEY} now\n",
    )
    write(project, "cassettes/a.yaml.new", ours(KEY) + "pending:\n  base: none\n")
    result = project.run("lint")
    assert result.out.splitlines()[0].startswith(
        'cassettes/a.snapshots.yaml:4: snapshots["1"]: holds an API key'
    ) or (
        result.out.splitlines()[0].startswith("cassettes/a.snapshots.yaml:4: snapshots.1: holds an API key")
    )
    assert result.out.endswith("2 files, 2 problems\n")
    assert project.run("lint", "--fix").status == 0


def test_a_compressed_cassette_is_opened_and_left_as_it_is(project: Project) -> None:
    packed = gzip.compress(VCR.format(key=KEY).encode())
    write(project, "cassettes/a.yaml.gz", "")
    (project.path / "cassettes/a.yaml.gz").write_bytes(packed)
    result = project.run("lint", "--fix")
    assert result.out.endswith("1 file, 3 problems\n")
    assert (project.path / "cassettes/a.yaml.gz").read_bytes() == packed


def test_a_file_name_can_hold_a_secret(project: Project) -> None:
    write(project, f"cassettes/test_it[{KEY}].yaml", ours("it"))
    result = project.run("lint", "--json")
    (problem,) = result.json["problems"]
    assert problem["what"] == "its name holds an API key of the form sk-..."
    assert problem["fix"] == "rename it"
    assert KEY not in project.run("lint").out


def test_unreadable_files_are_told_and_the_others_are_checked(project: Project) -> None:
    project.write("cassettes/good.yaml", chat())
    write(project, "cassettes/broken.yaml", "stepreplay: 1\ninteractions: [\n")
    write(project, "cassettes/half.yaml", f"stepreplay: 1\n# {KEY}\ninteractions: [\n")
    write(project, "cassettes/list.json", "[1, 2]")
    (project.path / "cassettes/binary.yaml").write_bytes(b"\xff\x00\xfe")
    result = project.run("lint")
    assert result.status == 1
    lines = result.out.splitlines()
    assert lines[0] == (
        "cassettes/binary.yaml:1: is not UTF-8 text; fix it, or delete it and record it again with: pytest --stepreplay=record"
    )
    assert lines[1].startswith("cassettes/broken.yaml:3: is not valid YAML")
    assert lines[2] == (
        "cassettes/half.yaml:2: file: holds an API key of the form sk-...; revoke it, delete the file, "
        "and record the test again without it"
    )
    assert lines[3].startswith("cassettes/half.yaml:4: is not valid YAML")
    assert lines[4].startswith("cassettes/list.json: is not a cassette")
    assert lines[-1] == "5 files, 5 problems"
    assert project.run("lint", "--fix").status == 1
    assert KEY in (project.path / "cassettes/half.yaml").read_text(encoding="utf-8")


def test_the_projects_settings_count(project: Project) -> None:
    write(project, "cassettes/a.yaml", ours(KEY).replace("Use ", f"Use {UUID} "))
    assert project.run("lint").out.count("cassettes/a.yaml:10:") == 2
    write(
        project,
        "pytest.ini",
        "[pytest]\n"
        "stepreplay_allow_secret =\n    request.json.messages[*].content: it was revoked\n"
        "stepreplay_ignore_request = messages[*].content\n",
    )
    assert project.run("lint").status == 0
    (project.path / "pytest.ini").unlink()
    write(
        project,
        "pyproject.toml",
        "[tool.pytest.ini_options]\n"
        'stepreplay_allow_secret = ["request.json.messages[*].content: it was revoked"]\n'
        'stepreplay_ignore_request = ["messages[*].content"]\n',
    )
    assert project.run("lint").status == 0
    write(
        project, "pyproject.toml", '[tool.pytest.ini_options]\nstepreplay_allow_secret = ["request.json"]\n'
    )
    result = project.run("lint")
    assert result.status == 2
    assert result.err == (
        "stepreplay: pyproject.toml, allow_secret: 'request.json' has no reason; write it as SELECTOR: REASON\n"
    )


def test_max_age(project: Project) -> None:
    project.write("cassettes/a.yaml", chat(recorded_at="2020-01-01T00:00:00Z"))
    assert project.run("lint").status == 0
    result = project.run("lint", "--max-age", "90d")
    assert result.status == 1
    assert "interaction 1, recorded_at: was recorded " in result.out
    assert project.run("lint", "--max-age", "90y").status == 0
    write(project, "pytest.ini", "[pytest]\nstepreplay_max_age = 12w\n")
    assert project.run("lint").status == 1
    assert project.run("lint", "--max-age", "90y").status == 0
    bad = project.run("lint", "--max-age", "soon")
    assert bad.status == 2
    assert "'soon' is not an age; write it as 36h, 90d, 12w, 6m or 1y" in bad.err


def test_checks_can_be_left_out(project: Project) -> None:
    project.write("cassettes/a.yaml", chat(user(UUID)))
    assert project.run("lint", "--skip", "volatile").status == 0
    bad = project.run("lint", "--skip", "secrets")
    assert bad.status == 2
    assert "'secrets' is not a check; the checks are secret, contract, match" in bad.err


def test_no_cassette_is_no_error(project: Project) -> None:
    result = project.run("lint")
    assert (result.status, result.out) == (0, "")
    assert result.err.startswith("There is no cassette in cassettes")


def test_what_a_model_wrote_cannot_reach_the_terminal(project: Project) -> None:
    project.write(
        "cassettes/a.yaml",
        Interaction(
            request=chat().request,
            response=Response(
                status=200,
                json={
                    **json.loads("{}"),
                    "object": "chat.completion",
                    "choices": [],
                    "id": "x",
                    "created": 1,
                    "model": "\x1b[31m",
                    "usage": {"prompt_tokens": "\x1b]0;x\x07"},
                },
            ),
        ),
    )
    assert "\x1b" not in project.run("lint").out


def pem(lines: int, seed: int = 3) -> str:
    letters = random.Random(seed)
    body = "\n".join(
        "".join(letters.choices(string.ascii_letters + string.digits + "+/", k=64)) for _ in range(lines)
    )
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"


def vcr_tree(body: str) -> dict[str, object]:
    return {
        "interactions": [
            {
                "request": {"body": body, "headers": {}, "method": "POST", "uri": "https://h/v1/x"},
                "response": {
                    "body": {"string": "{}"},
                    "headers": {"content-type": ["application/json"]},
                    "status": {"code": 200, "message": "OK"},
                },
            }
        ],
        "version": 1,
    }


class Styled(str):
    """A text in a style of YAML."""

    __slots__ = ()


def dumper_of(style: str | None) -> type[yaml.SafeDumper]:
    class Dumper(yaml.SafeDumper):
        pass

    Dumper.add_representer(
        Styled, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    )
    return Dumper


@pytest.mark.parametrize("style", [None, "'", '"', "|", ">"])
@pytest.mark.parametrize("in_json", [False, True])
def test_fix_takes_a_private_key_from_begin_to_end(
    project: Project, style: str | None, in_json: bool
) -> None:
    key = pem(13)
    says = f"Use this, please:\n{key}\nand nothing else, since it is the only one that we have got here."
    body = json.dumps({"content": says}) if in_json else says
    text = yaml.dump(vcr_tree(Styled(body)), Dumper=dumper_of(style))
    write(project, "cassettes/a.yaml", text)
    assert project.run("lint").out.count("holds a private key") == 1
    fixed = project.run("lint", "--fix", "--skip", "body")
    assert (fixed.status, fixed.out) == (0, "1 file, no problems, 1 fixed\n")
    after = yaml.safe_load((project.path / "cassettes/a.yaml").read_text(encoding="utf-8"))
    assert after == vcr_tree(body.replace(json.dumps(key)[1:-1] if in_json else key, "[redacted]"))


@pytest.mark.parametrize("dump", [yaml.dump, json.dumps])
@pytest.mark.parametrize("in_json", [False, True])
def test_fix_takes_a_private_key_that_is_a_list_of_its_lines(
    project: Project, dump: Callable[[object], str], in_json: bool
) -> None:
    lines = pem(13).split("\n")
    tree: dict[str, Any] = vcr_tree(json.dumps({"key": lines})) if in_json else vcr_tree("x")
    tree["interactions"][0]["response"]["headers"]["x-key"] = ["a"] if in_json else ["a", *lines, "b"]
    write(project, "cassettes/a.yaml", dump(tree))
    project.run("lint", "--fix", "--skip", "body")
    after = (project.path / "cassettes/a.yaml").read_text(encoding="utf-8")
    assert not any(line in after for line in lines)
    assert yaml.safe_load(after).keys() == tree.keys(), "it can still be read"
    assert project.run("lint", "--skip", "body").status == 0


def test_a_private_key_that_is_cut_off_goes_to_its_last_line(project: Project) -> None:
    key = pem(13).rpartition("\n")[0]
    write(project, "cassettes/a.yaml", yaml.dump(vcr_tree(f"Use\n{key}\n\nthat is all of it")))
    assert project.run("lint", "--fix", "--skip", "body").out == "1 file, no problems, 1 fixed\n"
    after = yaml.safe_load((project.path / "cassettes/a.yaml").read_text(encoding="utf-8"))
    assert after == vcr_tree("Use\n[redacted]\n\nthat is all of it")


def test_a_huge_private_key_goes_as_one(project: Project) -> None:
    key = pem(16_000)  # 1 MB; five of them take ten seconds
    write(
        project,
        "cassettes/a.yaml",
        yaml.dump(vcr_tree(key), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)),
    )
    assert project.run("lint", "--fix", "--skip", "body").out == "1 file, no problems, 1 fixed\n"
    assert len((project.path / "cassettes/a.yaml").read_bytes()) < 500


def test_what_cannot_be_fixed_is_told_so_and_not_to_try_again(project: Project) -> None:
    # Its lines are values of several objects: to take them out would leave others.
    tree = vcr_tree("x")
    lines = [{"line": line} for line in pem(4).split("\n")]
    tree["interactions"][0]["request"]["headers"] = {"x-lines": lines}  # type: ignore[index]
    text = yaml.dump(tree)
    write(project, "cassettes/a.yaml", text)
    assert project.run("lint").status == 1
    result = project.run("lint", "--fix")
    assert result.status == 1
    assert "request.headers.x-lines" in result.out
    assert (
        "--fix could not replace it safely: revoke it, delete the file, and record the test again"
        in result.out
    )
    assert "fixed\n" not in result.out
    assert (project.path / "cassettes/a.yaml").read_text(encoding="utf-8") == text


def test_fix_destroys_no_picture(project: Project) -> None:
    letters = string.ascii_letters + string.digits + "-_"
    picture = "sk-" + "".join(random.Random(2).choices(letters, k=8_000))
    text = ours("it").replace("Use it for it.", picture)
    write(project, "cassettes/a.yaml", text)
    assert project.run("lint", "--fix").status == 1
    assert "too long to be replaced unseen" in project.run("lint").out
    assert (project.path / "cassettes/a.yaml").read_text(encoding="utf-8") == text
    inside = "".join(random.Random(2).choices(letters, k=4_000)) + "-sk-"
    write(project, "cassettes/a.yaml", text.replace("sk-", inside, 1))
    assert project.run("lint").status == 0
