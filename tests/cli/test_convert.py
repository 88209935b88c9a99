"""`stepreplay convert`: what becomes of each file, that nothing is lost, and that new files replay as old ones did."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import get_args

import httpx
import pytest
import yaml

from pytest_stepreplay import use_cassette
from pytest_stepreplay.cli import checking
from pytest_stepreplay.interception import clients
from pytest_stepreplay.models import Cassette, Interaction, Request, Response, Stream, StreamError
from pytest_stepreplay.store.cassettes import read_cassette
from tests.conftest import KEY as REVOKED

from .conftest import URL, Project, Terminal, chat, user

FOREIGN = Path(__file__).parents[1] / "unit" / "foreign"
KEY = "sk-abcdefghijklmnop1234"
EVERY_TOOL = [
    "vcr-1.13-requests.yaml",
    "vcr-1.13-requests.json",
    "vcr-4.3-httpx.yaml",
    "vcr-4.3-aiohttp.yaml",
    "langchain.yaml.gz",
    "cassetter.yaml",
    "cassetter.toml",
    "mitmproxy.har",
    "datadog-stream.json",
    "datadog-binary.json",
]


def vcr(*answers: str, uri: str = URL, key: str = "") -> str:
    """Returns a cassette of vcrpy with one request after another."""
    interactions = [
        {
            "request": {
                "method": "POST",
                "uri": uri,
                "headers": {"Authorization": [f"Bearer {KEY}"]},
                "body": json.dumps({"model": "m", "messages": [user(f"{answer} {key}")]}),
            },
            "response": {
                "status": {"code": 200, "message": "OK"},
                "headers": {"Content-Type": ["text/plain"], "Content-Length": ["99999"]},
                "body": {"string": answer},
            },
        }
        for answer in answers
    ]
    return json.dumps({"version": 1, "interactions": interactions})


def broken(text: str) -> str:
    """Returns the same cassette with one interaction more that cannot be read."""
    tree = json.loads(text)
    tree["interactions"].append({"request": tree["interactions"][0]["request"], "response": {}})
    return json.dumps(tree)


def write(project: Project, name: str, content: str | bytes) -> Path:
    path = project.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


# ---------------------------------------------------------------- each tool, there and back


@pytest.mark.parametrize("name", EVERY_TOOL)
def test_what_a_real_tool_recorded_is_converted_and_replays_the_same(project: Project, name: str) -> None:
    shutil.copy(FOREIGN / name, project.path / name)
    result = project.run("convert", name, "--to", "new", "--check", "--json")
    assert (result.status, result.err) == (0, "")
    (told,) = result.json["files"]
    assert (told["result"], told["checked"]) == ("converted", told["interactions"])
    target = project.path / told["target"]
    assert read_cassette(target).format == "stepreplay"
    assert target.parent == project.path / "new"
    assert KEY not in target.read_text(encoding="utf-8")
    assert (project.path / name).read_bytes() == (FOREIGN / name).read_bytes()


@pytest.mark.parametrize(("format_", "suffix"), [("vcr", "yaml"), ("har", "har"), ("jsonl", "jsonl")])
def test_ours_go_to_the_formats_of_others_and_come_back(project: Project, format_: str, suffix: str) -> None:
    before = [
        chat(user("a")),
        chat(user("a"), answer={"id": "2"}),
        chat(response=Response(status=200, events=("[DONE]",))),
    ]
    project.write("cassettes/test_x/test_a.yaml", *before, test="test_x.py::test_a")
    result = project.run("convert", "cassettes", "--to", "out", "--format", format_, "--check")
    assert result.out == "1 file converted, 3 interactions (3 checked), 0 values redacted\n" or (
        f"cassettes/test_x/test_a.yaml (stepreplay) -> out/test_x/test_a.{suffix}" in result.out
    )
    found = read_cassette(project.path / f"out/test_x/test_a.{suffix}")
    assert found.format == format_
    back = project.run("convert", "out", "--to", "back", "--check")
    assert back.status == 0
    interactions = read_cassette(project.path / "back/test_x/test_a.yaml").cassette.interactions
    assert [(each.request, each.response) for each in interactions] == [
        (each.request, each.response) for each in before
    ]


def test_a_converted_cassette_replays_in_a_real_client(project: Project) -> None:
    write(project, "old.json", vcr("hello"))
    assert project.run("convert", "old.json", "--to", "new").status == 0
    with use_cassette(project.path / "new/old.json", mode="replay"):
        answer = httpx.post(URL, json={"messages": [user("hello ")], "model": "m"})
    assert (answer.status_code, answer.text) == (200, "hello")


def test_a_foreign_file_replays_as_it_is(project: Project) -> None:
    path = write(project, "old.yaml.gz", gzip.compress(vcr("hello").encode()))
    with use_cassette(path, mode="replay"):
        assert httpx.post(URL, json={"model": "m", "messages": [user("hello ")]}).text == "hello"


# ---------------------------------------------------------------- where files go


def test_in_place_a_file_keeps_its_name_and_others_stand_beside_their_sources(project: Project) -> None:
    write(project, "a/old.yaml", vcr("1"))
    write(project, "a/old.json", vcr("2"))
    har = write(project, "a/har.har", (FOREIGN / "mitmproxy.har").read_bytes())
    write(project, "a/b/test[gpt-4.1] x", vcr("3"))
    write(project, "a/zip.yaml.gz", gzip.compress(vcr("4").encode()))
    result = project.run("convert", "a")
    assert result.status == 0
    assert result.out.splitlines()[-1] == "3 sources left beside the new files"
    assert sorted(files(project.path / "a")) == [
        "b/test[gpt-4.1] x",
        "b/test[gpt-4.1] x.yaml",
        "har.har",
        "har.yaml",
        "old.json",
        "old.yaml",
        "zip.yaml",
        "zip.yaml.gz",
    ]
    for name in ("old.yaml", "old.json", "har.yaml", "zip.yaml", "b/test[gpt-4.1] x.yaml"):
        assert read_cassette(project.path / "a" / name).format == "stepreplay"
    assert har.read_bytes() == (FOREIGN / "mitmproxy.har").read_bytes()


def test_running_it_again_changes_nothing(project: Project) -> None:
    write(project, "a/old.yaml", vcr("1"))
    write(project, "a/har.har", (FOREIGN / "mitmproxy.har").read_bytes())
    for to in (["--to", "a/new"], []):
        assert project.run("convert", "a", *to).status == 0
        before = files(project.path)
        assert project.run("convert", "a", *to).status == 0
        assert files(project.path) == before


def test_no_file_but_the_source_is_ever_replaced(project: Project) -> None:
    write(project, "old.har", (FOREIGN / "mitmproxy.har").read_bytes())
    mine = project.write("old.yaml", chat())
    before = mine.read_bytes()
    write(project, "new/old.har", "precious")
    write(project, "new/old.yaml", "precious")
    result = project.run("convert", "old.har")
    assert result.status == 1
    assert "refused: old.har: old.yaml exists already and holds something else" in result.out
    assert mine.read_bytes() == before
    result = project.run("convert", "old.yaml", "--to", "new", "--format", "har")
    assert (result.status, files(project.path / "new")) == (
        1,
        {"old.har": b"precious", "old.yaml": b"precious"},
    )
    result = project.run("convert", "old.har", "--to", "new")
    assert (result.status, files(project.path / "new")["old.yaml"]) == (1, b"precious")


def test_two_sources_never_become_one_file(project: Project) -> None:
    write(project, "a/x.har", (FOREIGN / "mitmproxy.har").read_bytes())
    write(project, "a/x.toml", (FOREIGN / "cassetter.toml").read_bytes())
    for more in (["--dry-run"], []):
        result = project.run("convert", "a", "--to", "new", *more)
        assert result.status == 1
        assert "refused: a/x.toml: a/x.har becomes new/x.yaml already" in result.out


def test_another_format_does_not_take_the_place_of_what_holds_more(project: Project) -> None:
    path = project.write("x.yaml", chat())
    before = path.read_bytes()
    result = project.run("convert", "x.yaml", "--format", "vcr")
    assert (result.status, path.read_bytes()) == (1, before)
    assert "refused: x.yaml: its new file would replace it and hold less; use --to DIR" in result.out


def test_what_would_be_lost_in_place_is_not_lost(project: Project) -> None:
    path = write(project, "old.json", broken(vcr("1", "2")))
    before = path.read_bytes()
    result = project.run("convert", "old.json")
    assert (result.status, path.read_bytes()) == (1, before)
    assert result.out.splitlines() == [
        "partly: old.json: 2 of 3 interactions; left as it is, since the rest would be lost; "
        "use --to DIR to write what can be converted",
        "  skipped line 1, interactions[2].response: there is no 'status'",
        "0 files converted, 1 left as it is, 0 interactions, 0 values redacted",
    ]
    result = project.run("convert", "old.json", "--to", "new")
    assert result.status == 1
    assert result.out.startswith("partly: old.json: 2 of 3 interactions -> new/old.json\n")
    assert len(read_cassette(project.path / "new/old.json").cassette.interactions) == 2


def test_dry_run_says_it_all_and_writes_nothing(project: Project) -> None:
    write(project, "a/old.yaml", vcr("1"))
    write(project, "a/bad.yaml", "hello")
    before = files(project.path)
    result = project.run("convert", "a", "--to", "new", "--dry-run", "--check")
    assert result.status == 1
    assert files(project.path) == before
    assert result.out.endswith(
        "1 file would be converted, 1 refused, 1 interaction (1 checked), 0 values redacted\n"
    )


def test_ours_stay_as_they_are(project: Project) -> None:
    path = project.write("a/x.yaml", chat())
    before = path.stat().st_mtime_ns
    result = project.run("convert", "a")
    assert (result.status, result.out) == (
        0,
        "0 files converted, 1 unchanged, 0 interactions, 0 values redacted\n",
    )
    assert path.stat().st_mtime_ns == before


def test_a_link_stays_a_link(project: Project) -> None:
    path = write(project, "real.json", vcr("1"))
    (project.path / "link.json").symlink_to(path)
    assert project.run("convert", "link.json").status == 0
    assert (project.path / "link.json").is_symlink()
    assert read_cassette(path).format == "stepreplay"


# ---------------------------------------------------------------- bad input


def test_among_many_files_the_good_ones_are_converted_and_the_bad_ones_listed(project: Project) -> None:
    for number in range(60):
        write(project, f"a/{number % 7}/test_{number}.yaml", vcr(f"answer {number}"))
    whole = (FOREIGN / "vcr-1.13-requests.yaml").read_bytes()
    bad = {
        "a/binary.yaml": b"\x00\x01\xff\xfe",
        "a/truncated.yaml": whole[: len(whole) // 2],
        "a/other.json": b'{"name": "package"}',
        "a/empty.yaml": b"",
        "a/truncated.json": vcr("x").encode()[:-30],
        "a/zip.yaml.gz": gzip.compress(whole)[:-9],
        "a/no suffix": b"hello\n",
        "a/binary.jsonl": b"\xff\xfe",
    }
    for name, content in bad.items():
        write(project, name, content)
    for name in (
        "a/notes.md",
        "a/test_x.py",
        "a/.hidden.yaml",
        "a/.git/x.yaml",
        "a/x.snapshots.yaml",
        "a/x.yaml.new",
    ):
        write(project, name, "no cassette")
    result = project.run("convert", "a", "a/0", "--to", "new")
    assert result.status == 1
    refused = [line for line in result.out.splitlines() if line.startswith("refused: ")]
    assert sorted(line.split(": ")[1].split(":")[0] for line in refused) == sorted(bad)
    assert "60 files converted, 8 refused, 60 interactions, 0 values redacted" in result.out
    assert len(files(project.path / "new")) == 60
    assert all((project.path / name).read_bytes() == content for name, content in bad.items())
    assert "Traceback" not in result.out + result.err


def test_nothing_in_a_file_is_executed(project: Project) -> None:
    text = vcr("1").replace('"version": 1', '"version": !!python/object/apply:os.system ["touch pwned"]')
    write(project, "evil.yaml", text)
    result = project.run("convert", "evil.yaml")
    assert result.status == 1
    assert result.out.startswith("refused: evil.yaml:1: has the YAML tag ")
    assert "a file must not build objects" in result.out
    assert not (project.path / "pwned").exists()


def test_a_file_that_cannot_be_read_or_written_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "a/old.yaml", vcr("1"))
    write(project, "new", "a file, not a folder")
    result = project.run("convert", "a", "--to", "new/deep")
    assert result.status == 1
    assert "could not be written" in result.out
    os.mkfifo(project.path / "pipe")
    assert "not a regular file" in project.run("convert", "pipe").out

    def fill(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("pytest_stepreplay.cli.conversion.read_bytes", fill)
    assert "too large for the memory" in project.run("convert", "a/old.yaml").out


def test_what_cannot_be_converted_at_all_says_why(project: Project) -> None:
    row = {"request": {"model": "m", "messages": []}, "response": {"choices": []}}
    write(project, "log.jsonl", json.dumps(row) + "\n" + json.dumps(row) + "\n")
    result = project.run("convert", "log.jsonl")
    assert result.status == 1
    assert (
        "refused: log.jsonl: nothing in it can be converted\n"
        "  skipped line 1: it gives no URL; say where it was sent, as in --base-url https://api.stepfun.com/v1\n"
        in result.out
    )
    assert project.run("convert", "log.jsonl", "--base-url", "https://api.stepfun.com/v1").status == 0
    (first, _) = read_cassette(project.path / "log.yaml").cassette.interactions
    assert first.request.url == URL


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        ((), "SOURCES is missing"),
        (("nowhere",), "SOURCES: 'nowhere' does not exist"),
        ((".", "--format", "xml"), "'xml' is not one of stepreplay, vcr, har, jsonl"),
        ((".", "--base-url", "api.stepfun.com"), "it should start with https:// or http://"),
    ],
)
def test_bad_usage_is_status_2(project: Project, args: tuple[str, ...], problem: str) -> None:
    result = project.run("convert", *args)
    assert (result.status, result.out) == (2, "")
    assert problem in result.err


def test_a_folder_without_cassettes_is_status_1(project: Project) -> None:
    result = project.run("convert", ".")
    assert (result.status, result.out, result.err) == (1, "", "There is no cassette in .\n")
    assert project.run("convert", ".", "--json").json["files"] == []


# ---------------------------------------------------------------- logs and batches


def test_a_batch_is_put_together_from_its_two_files(project: Project) -> None:
    def asked(key: str, text: str) -> str:
        body = {"model": "m", "messages": [user(text)]}
        return (
            json.dumps({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": body})
            + "\n"
        )

    def answered(key: str, text: str) -> str:
        response = {"status_code": 200, "request_id": "r", "body": {"id": text}}
        return json.dumps({"id": "b", "custom_id": key, "response": response, "error": None}) + "\n"

    write(project, "in.jsonl", asked("1", "one") + asked("2", "two"))
    write(project, "out.jsonl", answered("2", "two") + answered("1", "one"))
    base = ("--base-url", "https://api.stepfun.com/v1")
    result = project.run("convert", "in.jsonl", "out.jsonl", *base, "--check")
    assert result.status == 0
    assert (
        "1 file converted, 1 file of requests used, 2 interactions (2 checked), 0 values redacted"
        in result.out
    )
    second, first = read_cassette(project.path / "out.yaml").cassette.interactions
    assert (first.request.url, first.request.json["messages"]) == (URL, [user("one")])
    assert second.response.json == {"id": "two"}
    write(project, "other.jsonl", asked("1", "another") + asked("3", "three"))
    result = project.run("convert", ".", "--to", "new", *base, "--json")
    skipped = [
        each["reason"]
        for file in result.json["files"]
        for each in file["skipped"]
        if "several" in each["reason"]
    ]
    assert skipped == ["several requests have this 'custom_id': convert each batch by itself"]
    alone = project.run("convert", "out.jsonl", "--to", "alone", *base)
    assert alone.status == 1
    assert "convert the batch's input file together with this one" in alone.out
    idle = project.run("convert", "in.jsonl", *base)
    assert idle.status == 1
    assert (
        "refused: in.jsonl: it holds only the requests of a batch; name the file with the responses"
        in idle.out
    )


# ---------------------------------------------------------------- secrets


def test_keys_are_redacted_and_counted(project: Project) -> None:
    write(project, "old.json", vcr("1", "2", uri=f"{URL}?api_key={KEY}", key=f"my key is {KEY}"))
    result = project.run("convert", "old.json", "--to", "new", "--check")
    assert result.status == 0
    assert "2 interactions (2 checked), 4 values redacted" in result.out
    text = (project.path / "new/old.json").read_text(encoding="utf-8")
    assert "sk-" not in text
    assert text.count("[redacted]") == 4


def test_a_url_without_a_host_is_named_as_what_it_is(project: Project) -> None:
    write(project, "old.yaml", vcr("Hi.", uri="api.stepfun.com/v1/chat/completions"))
    refused = project.run("convert", "old.yaml", "--check")
    assert refused.status == 1
    assert "its URL has no scheme or no host, so no client can request it" in refused.out


def test_what_the_project_says_of_secrets_and_headers_holds(project: Project) -> None:
    write(
        project,
        "pytest.ini",
        "[pytest]\nstepreplay_redact_fields = nickname\nstepreplay_keep_headers = x-trace-id\n",
    )
    tree = json.loads(vcr("1"))
    (only,) = tree["interactions"]
    only["request"]["body"] = json.dumps({"nickname": "Ann"})
    only["response"]["headers"]["X-Trace-Id"] = ["t-1"]
    write(project, "old.json", json.dumps(tree))
    assert project.run("convert", "old.json", "--check").status == 0
    (made,) = read_cassette(project.path / "old.json").cassette.interactions
    assert made.request.json == {"nickname": "[redacted]"}
    assert made.response.headers["x-trace-id"] == "t-1"
    write(project, "pytest.ini", "[pytest]\nstepreplay_redact_fields =\n  a\n[x\n")
    assert project.run("convert", "old.json").status == 2


def test_what_the_project_allows_is_converted(project: Project) -> None:
    write(project, "old.json", vcr(f"1 {b64encode(REVOKED.encode()).decode()}"))
    refused = project.run("convert", "old.json", "--to", "new")
    assert refused.status == 1
    assert "would hold what looks like a secret" in refused.out
    checked = project.run("convert", "old.json", "--to", "new", "--check")
    assert "new/old.json: was not written" in checked.out and "/trial" not in checked.out  # that one is gone
    assert not (project.path / "new").exists()
    allowed = "    request.**: it was revoked\n    response.**: the same\n"
    write(project, "pytest.ini", f"[pytest]\nstepreplay_allow_secret =\n{allowed}")
    assert project.run("convert", "old.json", "--to", "new").status == 0


# ---------------------------------------------------------------- --check


def test_check_refuses_what_no_client_can_ask_and_writes_nothing(project: Project) -> None:
    path = write(project, "old.json", vcr("1", uri="http://x/\x07"))
    before = path.read_bytes()
    result = project.run("convert", "old.json", "--check")
    assert (result.status, path.read_bytes()) == (1, before)
    assert (
        "refused: old.json: it would replay differently: interaction 1, the client cannot send it or read the answer"
        in result.out
    )


def answered(response: Response, request: Request | None = None) -> Interaction:
    return Interaction(request=request or Request(method="POST", url=URL, json={"a": 1}), response=response)


@pytest.mark.parametrize("client", ["httpx", "httpx2", "urllib3"])
@pytest.mark.parametrize(
    ("old", "new", "differences"),
    [
        (Response(status=200, text="a"), Response(status=200, text="a"), []),
        (Response(status=200, json={"a": 1, "b": 2}), Response(status=200, text='{"a":1, "b":2}'), []),
        (Response(status=200, json=["k"]), Response(status=200, json=["[redacted]"]), []),
        (Response(status=200, json={"k": "a sk b"}), Response(status=200, json={"k": "a [redacted] b"}), []),
        (
            Response(status=200, text="a k b k c"),
            Response(status=200, text="a [redacted] b [redacted] c"),
            [],
        ),
        (
            Response(status=200, text="a k c"),
            Response(status=200, text="a [redacted] b [redacted] c"),
            ["the body"],
        ),
        (Response(status=200, text="x k"), Response(status=200, text="a [redacted]"), ["the body"]),
        (Response(status=200, text="k b"), Response(status=200, text="[redacted] c"), ["the body"]),
        (Response(status=200, text="ab"), Response(status=200, text="ab[redacted]b"), ["the body"]),
        (Response(status=200, json={"a": 1}), Response(status=200, json={"a": True}), ["the body"]),
        (Response(status=200, json=[1]), Response(status=200, json=[1, 2]), ["the body"]),
        (Response(status=200, json=5), Response(status=200, json=["[redacted]"]), ["the body"]),
        (Response(status=200, json=[5]), Response(status=200, json=["[redacted]"]), ["the body"]),
        (Response(status=200, base64="//4="), Response(status=200, base64="/w=="), ["the body"]),
        (Response(status=200, text="a"), Response(status=201, text="a"), ["the status: 201 instead of 200"]),
        (Response(status=204, text="a"), Response(status=204), []),
        (
            Response(status=200, headers={"content-type": "a/b", "location": "x"}),
            Response(status=200, headers={"content-type": "a/c"}),
            ["the header content-type", "the header location"],
        ),
    ],
)
def test_check_finds_each_difference_with_any_client(  # noqa: PLR0917 - pytest gives them by name
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    client: str,
    old: Response,
    new: Response,
    differences: list[str],
) -> None:
    monkeypatch.setattr(clients, "CLIENTS", {client: clients.CLIENTS[client]})
    path = project.write("x.yaml", answered(new))
    found = checking.find_differences(path, Cassette(interactions=(answered(old),)))
    assert found == [f"interaction 1, {each}" for each in differences]


UNFINISHED = [Stream(chunks="1", end="broken", error=error) for error in get_args(StreamError)]
UNFINISHED += [Stream(chunks="1", end="closed")]


@pytest.mark.parametrize("stream", UNFINISHED)
def test_a_stream_that_has_no_end_gets_none(project: Project, stream: Stream) -> None:
    headers = {"content-type": "text/event-stream"}
    whole = answered(Response(status=200, headers=headers, events=('{"id":"1"}',)))
    cut = answered(Response(status=200, headers=headers, events=('{"id":"1"}',), stream=stream))
    path = project.write("cassettes/x.yaml", cut, cut)
    assert checking.find_differences(path, Cassette(interactions=(cut,))) == []
    whole_path = project.write("whole.yaml", whole)
    assert checking.find_differences(whole_path, Cassette(interactions=(cut,))) == [
        "interaction 1, the stream, which now comes to an end"
    ]
    assert project.run("convert", "cassettes", "--to", "new", "--check").status == 0
    assert read_cassette(project.path / "new/x.yaml").cassette.interactions == (cut, cut)
    project.write("cassettes/x.yaml", whole, cut)
    result = project.run("convert", "cassettes", "--to", "out", "--format", "vcr", "--check")
    assert result.status == 1
    assert result.out.startswith(
        "partly: cassettes/x.yaml: 1 of 2 interactions -> out/x.yaml\n"
        "  skipped interactions[1].response.stream: its stream did not end, which no other format can express\n"
    )


def test_writing_for_vcrpy_needs_one_that_can_be_imported(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("x.yaml", chat())
    for module in [name for name in sys.modules if name.split(".")[0] == "vcr"]:
        monkeypatch.delitem(sys.modules, module)
    (project.path / "vcr.py").write_text("import json\njson.gone\n")  # patches what a client no longer has
    monkeypatch.syspath_prepend(str(project.path))
    result = project.run("convert", "x.yaml", "--to", "out", "--format", "vcr")
    assert result.status == 1
    assert "does not work with the HTTP clients that are installed here (module 'json' has" in result.out
    assert "install another: pip install -U vcrpy" in result.out
    monkeypatch.setitem(sys.modules, "vcr", None)
    result = project.run("convert", "x.yaml", "--to", "out", "--format", "vcr")
    assert result.status == 1
    assert "vcrpy is not installed; install it: pip install vcrpy" in result.out


def test_check_finds_requests_that_nothing_answers(project: Project) -> None:
    one = answered(Response(status=200))
    path = project.write("x.yaml", one)
    found = checking.find_differences(path, Cassette(interactions=(one, one)))
    assert found == ["interaction 2, no recorded request answers it"]


def test_check_needs_a_client(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "CLIENTS", {})
    write(project, "old.json", vcr("1"))
    result = project.run("convert", "old.json", "--check")
    assert result.status == 1
    assert "no HTTP client is installed to replay with; install one: pip install httpx" in result.out


# ---------------------------------------------------------------- what a person sees


def test_a_terminal_shows_progress_and_a_pipe_does_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, "old.json", vcr("1"))
    assert project.run("convert", "old.json", "--dry-run").err == ""
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    project.run("convert", "old.json", "--dry-run")
    assert "Converting" in terminal.getvalue()


def test_many_skipped_parts_are_told_in_short_and_all_in_json(project: Project) -> None:
    text = vcr("1")
    for _ in range(12):
        text = broken(text)
    write(project, "old.json", text)
    result = project.run("convert", "old.json", "--to", "new")
    assert "  and 9 more (--json lists all)" in result.out
    (file,) = project.run("convert", "old.json", "--to", "new", "--json").json["files"]
    assert [each["place"] for each in file["skipped"]] == [
        f"interactions[{i}].response" for i in range(1, 13)
    ]


def test_what_a_file_holds_cannot_command_the_terminal(project: Project) -> None:
    write(project, "a\x1b[31m.json", "{}")
    result = project.run("convert", ".")
    assert result.status == 1
    assert "\x1b" not in result.out


def test_it_runs_as_a_command(project: Project) -> None:
    write(project, "old.json", vcr("1"))
    command = [sys.executable, "-m", "pytest_stepreplay.cli", "convert", "old.json", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("old.json (vcr) -> old.json\n1 file converted")


def test_streams_of_an_earlier_version_are_renewed_in_place(project: Project) -> None:
    chunks = [
        json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]})
        for word in ("It", " is", " sunny", ".")
    ]
    old = {"stepreplay": 1, "interactions": [{
        "request": {"method": "POST", "url": URL, "json": {"stream": True}},
        "response": {"status": 200, "headers": {"content-type": "text/event-stream"}, "events": chunks},
    }]}  # fmt: skip
    path = write(project, "cassettes/old.yaml", yaml.safe_dump(old, sort_keys=False))
    before = read_cassette(path).cassette
    pending = write(project, "cassettes/old.yaml.new", "anything")
    refused = project.run("convert", "cassettes")
    assert (
        refused.status,
        "something is pending for it; decide first: stepreplay review" in refused.out,
    ) == (1, True)
    pending.unlink()
    assert project.run("convert", "cassettes/old.yaml", "--check").status == 0
    new = path.read_text(encoding="utf-8")
    assert "    answer: |-\n      assistant:\n        It is sunny.\n" in new
    assert "|It| is| sunny|.|" in new
    assert read_cassette(path).cassette == before
    assert project.run("lint", "--skip", "contract").out == "1 file, no problems\n"
    path.write_text(new.replace("It is sunny.", "It is not."), encoding="utf-8")
    found = project.run("lint", "--skip", "contract")
    assert found.out == (
        "cassettes/old.yaml:12: interaction 1, response.answer: is not what the frames below it say, which count; "
        "make it anew: stepreplay convert cassettes/old.yaml\n1 file, 1 problem\n"
    )
    assert read_cassette(path).cassette == before
    assert project.run("convert", "cassettes/old.yaml").status == 0
    assert path.read_text(encoding="utf-8") == new
    assert "unchanged" in project.run("convert", "cassettes/old.yaml").out
