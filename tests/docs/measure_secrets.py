"""Prints a table of what becomes of a key in each place: under pytest-recording, cassetter and this plugin.

Run by hand, since the other two are no dependencies of ours: `python -m tests.docs.measure_secrets PYTHON`, from the
repository, where PYTHON is an interpreter that has pytest, httpx, pytest-recording and cassetter. Every cell is one
run that records from the built-in upstream; then every file that it left is searched for the key, decoded.
"""

from __future__ import annotations

import json
import os
import random
import string
import subprocess
import sys
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pytest_stepreplay.errors import CassetteError
from pytest_stepreplay.redaction.wall import scan
from pytest_stepreplay.store.codec import decode
from pytest_stepreplay.upstream import ReceivedRequest, Upstream
from pytest_stepreplay.upstream.replies import answer, raw

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_stepreplay.upstream.replies import Reply

REPOSITORY = Path(__file__).parents[2]
KEY = "sk-" + "".join(random.Random(3).choices(string.ascii_letters + string.digits, k=48))
ENCODED = b64encode(f"user:{KEY}".encode()).decode()
TEST = """\
import os

import httpx
import pytest

KEY = os.environ["STEP_API_KEY"]
URL = os.environ["BASE_URL"] + "/chat/completions"


def ask(text="Say hello.", headers=None, params=None, **more):
    body = {{"model": "step-3.5-flash", "messages": [{{"role": "user", "content": text}}], **more}}
    headers = {{"Authorization": "Bearer x"}} | (headers or {{}})
    return httpx.post(URL, json=body, headers=headers, params=params).text


@MARK
{decorated}def test_it({argument}):
    {body}
"""


def _stream(_: ReceivedRequest) -> Reply:
    pieces = [KEY[at : at + 6] for at in range(0, len(KEY), 6)]
    chunks = [
        json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": it}}]})
        for it in pieces
    ]
    body = "".join(f"data: {chunk}\n\n" for chunk in [*chunks, "[DONE]"]).encode()
    return raw(200, {"content-type": "text/event-stream"}, body)


def _header(_: ReceivedRequest) -> Reply:
    headers = {"content-type": "application/json", "x-echo": KEY, "set-cookie": f"k={KEY}"}
    return raw(200, headers, b"{}")


def _hello(_: ReceivedRequest) -> Reply:
    return answer("Hello!")


def _echo(_: ReceivedRequest) -> Reply:
    return answer(f"Your key is {KEY}.")


def _error(_: ReceivedRequest) -> Reply:
    body = json.dumps({"error": {"message": f"Incorrect API key: {KEY}", "type": "x"}}).encode()
    return raw(200, {"content-type": "application/json"}, body)


@dataclass(frozen=True)
class Attack:
    """A test that a key passes through."""

    body: str = "ask()"
    says: Callable[[ReceivedRequest], Reply] = _hello
    parameter: bool = False


ATTACKS = {
    "`Authorization` header": Attack('ask(headers={"Authorization": "Bearer " + KEY})'),
    "another header": Attack('ask(headers={"x-shop-key": KEY})'),
    "query parameter `api_key`": Attack('ask(params={"api_key": KEY})'),
    "query parameter `hint`": Attack('ask(params={"hint": KEY})'),
    "JSON field `api_key`": Attack("ask(api_key=KEY)"),
    "prompt": Attack('ask(f"My key is {KEY}.")'),
    "prompt, in base64": Attack(f'ask("{ENCODED}")'),
    "prompt, URL-encoded": Attack('ask("".join(f"%{ord(c):02x}" for c in KEY))'),
    "arguments of a tool call": Attack('ask(arguments=__import__("json").dumps({"note": KEY}))'),
    "response header and cookie": Attack(says=_header),
    "answer": Attack(says=_echo),
    "answer, split over the chunks of a stream": Attack("ask(stream=True)", _stream),
    "error message": Attack(says=_error),
    "id of the test, and so the file's name": Attack("ask()", parameter=True),
}


@dataclass(frozen=True)
class Peer:
    """One plugin, as it is installed or with the filters that its documentation shows."""

    name: str
    module: str
    mark: str
    record: str
    conftest: str = ""
    ours: bool = False


_FILTERS = (
    'import pytest\n\n@pytest.fixture(scope="module")\ndef vcr_config():\n'
    '    return {"filter_headers": ["authorization"], "filter_query_parameters": ["api_key"],\n'
    '            "filter_post_data_parameters": ["api_key"]}\n'
)
_VCR = ("pytest.mark.vcr", "--record-mode=new_episodes")
PEERS = (
    Peer("pytest-recording (vcrpy)", "pytest_recording.plugin", *_VCR),
    Peer("the same, with filters", "pytest_recording.plugin", *_VCR, _FILTERS),
    Peer("cassetter", "cassetter.pytest_plugin", *_VCR),
    Peer("the same, with filters", "cassetter.pytest_plugin", *_VCR, _FILTERS),
    Peer(
        "pytest-stepreplay",
        "pytest_stepreplay.plugin",
        "pytest.mark.stepreplay(record_errors=True)",
        "--stepreplay=record",
        ours=True,
    ),
)


def outcome(peer: Peer, attack: Attack, python: str, folder: Path) -> str:
    """Returns what the run left behind: ``leaks``, ``kept out``, ``refused``, or why there is no answer."""
    (folder / "conftest.py").write_text(peer.conftest, encoding="utf-8")
    decorated = f'@pytest.mark.parametrize("key", ["{KEY}"])\n' if attack.parameter else ""
    code = TEST.replace("MARK", peer.mark).format(
        decorated=decorated, argument="key" if attack.parameter else "", body=attack.body
    )
    (folder / "test_chat.py").write_text(code, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": peer.module, "STEP_API_KEY": KEY}
    environment |= {"PYTHONPATH": str(REPOSITORY) if peer.ours else "", "PYTHONDONTWRITEBYTECODE": "1"}
    with Upstream(attack.says) as upstream:
        done = subprocess.run(
            [
                sys.executable if peer.ours else python,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                peer.record,
            ],
            cwd=folder,
            env=environment | {"BASE_URL": upstream.url},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
    if "was not written, since it would hold what looks like a secret" in done.stdout:
        return "refused"
    files = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".py"]
    if not files:
        return f"nothing recorded ({done.stdout.strip().splitlines()[-1:]})"
    return "leaks" if any(_holds_key(path) for path in files) else "kept out"


def _holds_key(path: Path) -> bool:
    content = path.read_bytes()
    tree: Any = None
    with suppress(CassetteError):
        tree, _ = decode(content, path)
    in_name = KEY in path.name
    return in_name or any(
        KEY in each.secret or each.what.startswith("the value")
        for each in scan(content, tree, secrets=(KEY,))
    )


def main(python: str) -> None:
    """Prints the table."""
    print("| a key in | " + " | ".join(peer.name for peer in PEERS) + " |")
    print("|---" * (len(PEERS) + 1) + "|")
    for name, attack in ATTACKS.items():
        row = []
        for peer in PEERS:
            with TemporaryDirectory() as folder:
                row.append(outcome(peer, attack, python, Path(folder)))
        print(f"| {name} | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
