"""`stepreplay serve` as a process: it says where it listens, saves when it is stopped, and survives what is done to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from pytest_stepreplay.cli import main
from pytest_stepreplay.server import installed
from pytest_stepreplay.settings import MODES
from pytest_stepreplay.store.cassettes import read_cassette
from pytest_stepreplay.upstream import Upstream
from tests.conftest import KEY

REPOSITORY: Final = Path(__file__).parents[2]
COMMAND: Final = [sys.executable, "-m", "pytest_stepreplay.cli", "serve"]
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="this system has no SIGTERM")


class Serving:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.base = process.stdout.readline().strip()
        self.root = self.base.removesuffix("/v1")

    def ask(self, text: str = "Say hello.", **more: Any) -> httpx.Response:
        body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
        headers = {"authorization": f"Bearer {KEY}"}
        return httpx.post(
            f"{self.base}/chat/completions", json=body, headers=headers, verify=False, timeout=60
        )

    def status(self) -> Any:
        return httpx.get(f"{self.root}/__stepreplay__/status", verify=False, timeout=60).json()

    def order(self, **order: Any) -> httpx.Response:
        return httpx.post(f"{self.root}/__stepreplay__/cassette", json=order, verify=False, timeout=60)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Stops it, and returns its exit status and what it said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=120)
        assert out == ""
        return self.process.returncode, err


@contextmanager
def serve(*arguments: str, cwd: Path) -> Iterator[Serving]:
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            serving = Serving(process)
            if not serving.base:
                raise AssertionError(process.communicate()[1])
            yield serving
        finally:
            process.kill()


def prompts(path: Path) -> list[str]:
    return [
        each.request.json["messages"][-1]["content"] for each in read_cassette(path).cassette.interactions
    ]


@needs_signals
def test_it_records_and_then_replays_offline_without_a_key(tmp_path: Path, upstream: Upstream) -> None:
    path = tmp_path / "cassettes/chat.yaml"
    with serve(str(path), "--mode", "record", "--upstream", upstream.url, cwd=tmp_path) as serving:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", serving.base)
        plain, streamed = serving.ask(), serving.ask(stream=True)
        status, err = serving.stop()
    assert (status, err.splitlines()[-1]) == (0, "cassettes/chat.yaml: 0 played, 2 recorded")
    text = path.read_text(encoding="utf-8")
    assert KEY not in text
    upstream.__exit__(None, None, None)
    with serve("cassettes/chat.yaml", "--json-log", cwd=tmp_path) as serving:
        assert serving.ask(stream=True).content == streamed.content
        assert serving.ask().json() == plain.json()
        missed = serving.ask("Say goodbye.")
        assert missed.status_code == 404
        status, err = serving.stop(signal.SIGINT)
    upstream.__enter__()
    assert status == 1
    *log, last = err.splitlines()
    told = [json.loads(line) for line in log]
    assert [(each["status"], each["how"], each["interaction"]) for each in told] == [
        (200, "played", 2),
        (200, "played", 1),
        (404, "missed", None),
    ]
    assert last == "cassettes/chat.yaml: 2 played, 0 recorded, 1 missed"
    assert path.read_text(encoding="utf-8") == text


@needs_signals
def test_a_harness_switches_cassettes_in_a_folder(tmp_path: Path, upstream: Upstream) -> None:
    with serve("tapes", "--mode", "record", "--upstream", upstream.url, cwd=tmp_path) as serving:
        serving.ask("One.")
        switched = serving.order(cassette="b/two.yaml").json()
        assert switched["closed"]["written"]
        assert (switched["opened"]["cassette"], switched["opened"]["mode"]) == ("tapes/b/two.yaml", "record")
        serving.ask("Two.")
        assert serving.order(cassette="../out.yaml").status_code == 400
        assert serving.order(tape="two.yaml").status_code == 400
        assert serving.order(cassette="b/two.yaml", mode="relay").status_code == 400
        again = serving.order(cassette="b/two.yaml", mode="replay").json()
        assert again["opened"]["unplayed"] == [1]
        assert serving.ask("Two.").status_code == 200
        assert serving.ask("One.").status_code == 404
        assert serving.order(cassette="c.yaml", mode="replay").status_code == 400
        assert serving.stop()[0] == 1
    assert (prompts(tmp_path / "tapes/server.yaml"), prompts(tmp_path / "tapes/b/two.yaml")) == (
        ["One."],
        ["Two."],
    )
    with serve("tapes", "--host", "0.0.0.0", cwd=tmp_path) as serving:  # in replay, all of a folder answers
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", serving.base)
        assert [serving.ask(text).status_code for text in ("Two.", "One.")] == [200, 200]
        status, err = serving.stop()
    assert status == 0
    assert err.startswith("other machines can reach this server, by the name or the address of this one ")
    assert not (tmp_path / "out.yaml").exists()


@needs_signals
def test_two_servers_on_one_cassette_lose_nothing_and_one_that_is_killed_loses_nothing_else(
    tmp_path: Path, upstream: Upstream
) -> None:
    arguments = ("x.yaml", "--mode", "record", "--upstream", upstream.url)
    with serve(*arguments, cwd=tmp_path) as one, serve(*arguments, cwd=tmp_path) as two:
        one.ask("One.")
        two.ask("Two.")
        assert (one.stop()[0], two.stop()[0]) == (0, 0)
    assert sorted(prompts(tmp_path / "x.yaml")) == ["One.", "Two."]
    with serve(*arguments, cwd=tmp_path) as killed:
        killed.ask("Three.")
        while prompts(tmp_path / "x.yaml")[2:] != ["Three."]:  # it is saved beside the answer
            killed.status()
        killed.process.kill()
        killed.process.wait()
    assert len(prompts(tmp_path / "x.yaml")) == 3
    assert [each.name for each in tmp_path.iterdir() if not each.name.startswith(".")] == ["x.yaml"]
    # What somebody else writes while it runs is kept, and one that cannot be read is not written over.
    with serve(*arguments, cwd=tmp_path) as serving:
        serving.ask("Four.")
        while prompts(tmp_path / "x.yaml")[3:] != ["Four."]:
            serving.status()
        (tmp_path / "x.yaml").write_text("stepreplay: [broken", encoding="utf-8")
        serving.ask("Five.")
        status, err = serving.stop()
    assert (status, (tmp_path / "x.yaml").read_text(encoding="utf-8")) == (2, "stepreplay: [broken")
    assert "x.yaml:" in err
    assert "Traceback" not in err


@needs_signals
def test_verify_ends_with_status_1_where_something_has_drifted(tmp_path: Path, upstream: Upstream) -> None:
    with serve("x.yaml", "--mode", "record", "--upstream", upstream.url, cwd=tmp_path) as serving:
        serving.ask()
        serving.stop()
    with serve("x.yaml", "--mode", "verify", "--upstream", upstream.url, cwd=tmp_path) as serving:
        serving.ask()
        status, err = serving.stop()
    assert (status, "verified 1 interaction" in err) == (0, True), err
    path = tmp_path / "x.yaml"
    changed = path.read_text(encoding="utf-8").replace("finish_reason: stop", "finish_reason: length")
    path.write_text(changed, encoding="utf-8")
    with serve("x.yaml", "--mode", "verify", "--upstream", upstream.url, cwd=tmp_path) as serving:
        serving.ask()
        status, err = serving.stop()
    assert status == 1
    assert "behavior (1): the model does something different" in err
    assert (tmp_path / "x.yaml.new").exists() == (os.environ.get("CI") is None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing.yaml"], "'nothing.yaml' does not exist"),
        (["x.yaml", "--mode", "record"], "name the API with --upstream URL"),
        (["x.yaml", "--mode", "relay"], "'relay' is not one of replay, record, rewrite, verify, live"),
        (["x.yaml", "--mode", "mutate"], "'mutate' is not one of replay, record, rewrite, verify, live"),
        (["nothing-like-it.yaml"], "record it with: stepreplay serve nothing-like-it.yaml --mode=record"),
        (["x.yaml", "--port", "70000"], "'70000' is not a port"),
        (["x.yaml", "--upstream", "stepfun"], "is not a base URL such as"),
        (["x.yaml", "--token", "a/b"], "--token: use letters"),
        (["x.yaml", "y.yaml"], "unexpected argument: y.yaml"),
        (["x.yaml", "--pace", "fast"], "'fast' is not a pace"),
        (
            ["x.yaml", "--mode", "record", "--host", "0.0.0.0", "--upstream", "https://a.example"],
            "lets other machines send requests through this one in record: add --token",
        ),
    ],
)
def test_bad_usage_is_one_message(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["serve", *arguments]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(installed, "find_spec", lambda _: None)
    assert main(["serve"]) == 2
    assert "pip install 'pytest-stepreplay[server]'" in capsys.readouterr().err


def check(value: Any, schema: dict[str, Any], whole: dict[str, Any], place: str = "$") -> None:
    """Holds a JSON value to the part of JSON Schema that the OpenAPI file uses."""
    if "$ref" in schema:
        found = whole
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        check(value, found, whole, place)
        return
    for each in schema.get("allOf", ()):
        check(value, each, whole, place)
    if "oneOf" in schema:
        is_null = value is None
        check(
            value,
            next(each for each in schema["oneOf"] if (each.get("type") == "null") == is_null),
            whole,
            place,
        )
        return
    kinds = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "boolean": bool,
        "null": type(None),
    }
    named = schema.get("type", "object")
    allowed = tuple(kinds[each] for each in ([named] if isinstance(named, str) else named))
    assert isinstance(value, allowed), place
    if isinstance(value, dict):
        known = schema.get("properties", {})
        assert set(schema.get("required", ())) <= set(value), place
        for name, each in value.items():
            other = schema.get("additionalProperties")
            assert other is not False or name in known, f"{place}.{name}"
            if name in known:
                check(each, known[name], whole, f"{place}.{name}")
            elif isinstance(other, dict):
                check(each, other, whole, f"{place}.{name}")
    for number, each in enumerate(value if isinstance(value, list) else ()):
        check(each, schema.get("items", {}), whole, f"{place}[{number}]")


@needs_signals
def test_the_contract_is_what_the_openapi_file_says(tmp_path: Path, upstream: Upstream) -> None:
    contract = yaml.safe_load((REPOSITORY / "docs/server-openapi.yaml").read_text(encoding="utf-8"))

    def schema(path: str, method: str, status: int) -> dict[str, Any]:
        answer = contract["paths"][path][method]["responses"][str(status)]
        if "$ref" in answer:
            answer = contract["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        return answer["content"]["application/json"]["schema"]  # type: ignore[no-any-return]  # of a YAML file

    status_path, cassette_path = "/__stepreplay__/status", "/__stepreplay__/cassette"
    assert set(contract["paths"]) == {status_path, cassette_path}
    properties = contract["paths"][cassette_path]["post"]["requestBody"]["content"]["application/json"]
    assert properties["schema"]["properties"]["mode"]["enum"] == [
        name for name, mode in MODES.items() if not mode.mutates
    ]
    (tmp_path / "t").mkdir()
    with serve("t", "--mode", "verify", "--upstream", upstream.url, "--token", "s", cwd=tmp_path) as serving:
        status = httpx.get(f"{serving.root}{status_path}", verify=False)
        check(status.json(), schema(status_path, "get", 200), contract)
        unchosen = serving.ask()
        assert (unchosen.status_code, status.json()["waiting"]) == (400, unchosen.json()["error"]["message"])
        assert "in verify, one cassette of a folder is served at a time" in unchosen.text
        opened = serving.order(cassette="a", mode="record")
        check(opened.json(), schema(cassette_path, "post", 200), contract)
        serving.ask()
        switched = serving.order(cassette="a", mode="replay")
        check(switched.json(), schema(cassette_path, "post", 200), contract)
        serving.ask("Missed.")
        status = httpx.get(f"{serving.root}{status_path}", verify=False)
        assert status.json()["misses"]
        check(status.json(), schema(status_path, "get", 200), contract)
        check(serving.order(cassette=1).json(), schema(cassette_path, "post", 400), contract)
        wrong = httpx.get(f"{serving.root.removesuffix('/s')}{status_path}", verify=False)
        check(wrong.json(), schema(status_path, "get", wrong.status_code), contract)
        serving.stop()
