"""Clients of other languages, through the server: what they record is replayed to them offline, byte for byte."""

from __future__ import annotations

import http.server
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from pytest_stepreplay.server.running import ReplayServer
from pytest_stepreplay.server.served import Served
from pytest_stepreplay.server.upstreams import read_upstreams
from pytest_stepreplay.session.sessions import Session
from pytest_stepreplay.settings import MODES, Settings
from pytest_stepreplay.upstream import Upstream
from tests.conftest import KEY

BODY: Final = {"model": "m", "messages": [{"role": "user", "content": "Say hello."}], "stream": True}
NODE: Final = """
const { OpenAI } = require("openai");
(async () => {
  const client = new OpenAI({ apiKey: process.env.KEY });
  const stream = await client.chat.completions.create(JSON.parse(process.env.BODY));
  for await (const chunk of stream) console.log(JSON.stringify(chunk));
  try {
    await client.chat.completions.create({ model: "m", messages: [], stream: false });
    console.log("answered");
  } catch (error) { console.log(error.status, error.code); }
})();
"""
PYTHON: Final = """
import os, urllib.request
headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["KEY"]}
url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
print(urllib.request.urlopen(urllib.request.Request(url, os.environ["BODY"].encode(), headers)).read().decode())
"""
PAGE: Final = """
<script>
(async () => {
  let said;
  try {
    const answer = await fetch("%(base)s/chat/completions", {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer %(key)s" },
      body: JSON.stringify(%(body)s),
    });
    const reader = answer.body.getReader();
    const parts = [];
    for (let part; !(part = await reader.read()).done; ) parts.push(part.value);
    said = new Blob(parts);
  } catch (error) { said = String(error); }
  await fetch("/said", { method: "POST", body: said });
})();
</script>
"""


@cache
def node() -> str | None:
    """Returns Node, where openai's client is installed for it."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        return None
    root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=True).stdout.strip()
    return found if (Path(root) / "openai").is_dir() else None


@cache
def chromium() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def environment(base: str) -> dict[str, str]:
    known = {"OPENAI_BASE_URL": base, "KEY": KEY, "BODY": json.dumps(BODY), "NO_PROXY": "127.0.0.1"}
    return {**os.environ, **known}


def ask_with_node(base: str, folder: Path) -> bytes:
    executable = node()
    if executable is None:
        pytest.skip("openai's client for Node is not installed (npm install -g openai)")
    npm = shutil.which("npm") or "npm"
    root = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, check=True).stdout.strip()
    env = environment(base) | {"NODE_PATH": root}
    done = subprocess.run([executable, "-e", NODE], env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def ask_with_curl(base: str, folder: Path) -> bytes:
    executable = shutil.which("curl")
    if executable is None:
        pytest.skip("curl is not installed")
    headers = ["-H", "content-type: application/json", "-H", f"authorization: Bearer {KEY}"]
    command = [
        executable,
        "-sSN",
        "--noproxy",
        "*",
        *headers,
        "-d",
        json.dumps(BODY),
        f"{base}/chat/completions",
    ]
    return subprocess.run(command, capture_output=True, check=True, timeout=120).stdout


def ask_with_python(base: str, folder: Path) -> bytes:
    command = [sys.executable, "-c", PYTHON]
    return subprocess.run(command, env=environment(base), capture_output=True, check=True, timeout=120).stdout


def ask_with_chromium(base: str, folder: Path) -> bytes:
    executable = chromium()
    if executable is None:
        pytest.skip("Chromium is not installed")
    page = PAGE % {"base": base, "key": KEY, "body": json.dumps(BODY)}
    said = queue.SimpleQueue[bytes]()
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
    ]
    with page_server(page, said.put) as url:
        command = [executable, *options, f"--user-data-dir={folder / 'profile'}", url]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                return said.get(timeout=120)
            finally:
                process.terminate()


@contextmanager
def page_server(page: str, hear: Callable[[bytes], None]) -> Iterator[str]:
    """Serves a page of another origin, and takes what it says."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(page.encode())

        def do_POST(self) -> None:
            hear(self.rfile.read(int(self.headers["content-length"])))
            self._answer(b"")

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(path: Path, mode: str, url: str) -> Iterator[str]:
    session = Session(Settings(mode=MODES[mode]), path, shared=True, root=path.parent)
    session.load()
    with ReplayServer() as server:
        server.add(Served(session, read_upstreams([url]), origins=("*",)), "")
        yield f"{server.url}/v1"
    session.close(passed=True)


@pytest.mark.parametrize("ask", [ask_with_python, ask_with_curl, ask_with_node, ask_with_chromium])
def test_what_a_client_records_is_replayed_to_it_offline_byte_for_byte(
    ask: Callable[[str, Path], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "x.yaml"
    with Upstream() as upstream, serving(path, "record", upstream.url) as base:
        live = ask(base, tmp_path)
    assert b"chat.completion.chunk" in live
    text = path.read_text(encoding="utf-8")
    assert KEY not in text
    with serving(path, "replay", upstream_url(text)) as base:
        replayed = ask(base, tmp_path)
    if ask is ask_with_node:  # which also asks what is refused: by the API, and here, once each
        assert b"404 stepreplay_miss" in replayed
        live, replayed = (each.rpartition(b"}")[0] for each in (live, replayed))
    assert replayed == live


def upstream_url(text: str) -> str:
    return text.partition("url: ")[2].partition("/chat/completions")[0]
