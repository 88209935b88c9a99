"""A real browser for the tests of pages: Chromium without a window, told what to do over its DevTools protocol.

It speaks through a pipe (``--remote-debugging-pipe``), so that no library, no driver and no port is needed. It can reach
nothing but this machine.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from time import monotonic
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LONGEST: Final = 60.0
"""Seconds to wait for an answer of the browser, or for what a page is to become."""
_FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",  # a container has no other one, and the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--remote-debugging-pipe",
    "about:blank",
)
_START: Final = (
    "import os, sys; r, w, *command = sys.argv[1:]; os.dup2(int(r), 3); os.dup2(int(w), 4)\n"
    "os.execv(command[0], command)"
)
"""The browser reads from the descriptor 3 and writes to 4."""


def find_chromium() -> str | None:
    """Returns the path of a Chromium; `STEPREPLAY_CHROMIUM` names another one than those in the path."""
    named = os.environ.get("STEPREPLAY_CHROMIUM")
    return named or next((path for name in NAMES if (path := which(name))), None)


class Browser:
    """A browser that runs."""

    def __init__(self, program: str, folder: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        high = [os.dup(each) for each in (theirs_in, theirs_out)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *map(str, high), program, f"--user-data-dir={folder}", *_FLAGS],
            pass_fds=high,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for each in (theirs_in, theirs_out, *high):
            os.close(each)
        self._number = 0
        self._read = b""
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """Ends the browser and all its processes."""
        with suppress(Exception):
            self.call("Browser.close")
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method: str, session: str | None = None, **given: Any) -> dict[str, Any]:
        """Returns what the browser answers to a command; the events that come meanwhile are kept."""
        self._number += 1
        order = {"id": self._number, "method": method, "params": given} | (
            {"sessionId": session} if session else {}
        )
        os.write(self._out, json.dumps(order).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                assert "error" not in told, f"{method}: {told['error']}"
                result: dict[str, Any] = told["result"]
                return result

    def wait_for(self, method: str, session: str) -> None:
        """Returns once an event has come."""
        while not any(each["method"] == method and each["sessionId"] == session for each in self.events):
            self._next()

    def _next(self) -> dict[str, Any]:
        end = monotonic() + LONGEST
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._in], [], [], max(end - monotonic(), 0))
            more = os.read(self._in, 1 << 20) if ready else b""
            assert more, "the browser says nothing" if not ready else "the browser has ended"
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        if "method" in told and "sessionId" in told:
            self.events.append(told)
        return told

    @contextmanager
    def tab(self) -> Iterator[Tab]:
        """Yields a tab of its own, which shares nothing with others."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.events.clear()
        try:
            yield Tab(self, session)
        finally:
            self.call("Target.disposeBrowserContext", browserContextId=context)


class Tab:
    """A page in the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """Returns what the browser answers to a command for this page."""
        return self._browser.call(method, self._session, **given)

    def open(self, url: str, *, dark: bool = False, width: int = 1200, height: int = 900) -> Tab:
        """Opens a URL, or a file, and returns once it is there."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self._browser.events.clear()
        self.call("Page.navigate", url=url)
        self._browser.wait_for("Page.loadEventFired", self._session)
        return self

    def js(self, code: str) -> Any:
        """Returns the value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, code: str) -> None:
        """Returns once an expression is true in the page."""
        end = f"Date.now() + {LONGEST * 1000:.0f}"
        loop = (
            f"(async () => {{ const end = {end}; while (!({code})) {{ if (Date.now() > end) return false;"
            " await new Promise((done) => setTimeout(done, 5)); } return true; })()"
        )
        assert self.js(loop), f"never came true: {code}"

    def press(self, *keys: str) -> None:
        """Presses keys, each by the name that the page is told."""
        for key in keys:
            one = len(key) == 1
            code = {"Enter": 13, "Escape": 27, "Tab": 9}.get(key, ord(key[0].upper()))
            given = {"key": key, "windowsVirtualKeyCode": code} | (
                {"text": key} if one else {"text": "\r"} if key == "Enter" else {}
            )
            self.call("Input.dispatchKeyEvent", type="keyDown", **given)
            self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def click(self, selector: str) -> None:
        """Clicks in the middle of the first element that is seen of those that a selector names.

        On a busy machine the page may still move beneath the mouse, so this clicks until that very element is hit.
        """
        end = monotonic() + LONGEST
        is_hit = False
        while not is_hit:
            assert monotonic() < end, f"was never hit: {selector}"
            found = self.js(
                f"(() => {{ const it = [...document.querySelectorAll({json.dumps(selector)})]"
                ".find((each) => each.getClientRects().length); if (!it) return null;"
                " window.isHit = false; it.addEventListener('click', () => { window.isHit = true; },"
                " { once: true, capture: true });"
                " it.scrollIntoView({block: 'center'}); const box = it.getBoundingClientRect();"
                " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
            )
            assert found, f"nothing to click: {selector}"
            for kind in ("mousePressed", "mouseReleased"):
                self.call(
                    "Input.dispatchMouseEvent", type=kind, x=found[0], y=found[1], button="left", clickCount=1
                )
            is_hit = self.js("window.isHit") is not False  # of another page, nothing is known

    def texts(self, selector: str) -> list[str]:
        """Returns the texts of the elements that are seen of those that a selector names.

        `content-visibility` leaves out what was not drawn yet, and so has no text, on a busy machine: here it counts.
        """
        found = self.js(
            "(() => { const all = new CSSStyleSheet(); all.replaceSync('* { content-visibility: visible !important }');"
            " document.adoptedStyleSheets.push(all);"
            f" const found = [...document.querySelectorAll({json.dumps(selector)})]"
            ".filter((each) => each.getClientRects().length).map((each) => each.innerText);"
            " document.adoptedStyleSheets.pop(); return found; })()"
        )
        return [" ".join(each.split()) for each in found]

    @property
    def problems(self) -> list[str]:
        """What the page has complained about since it was opened: errors, and what its policy forbids."""
        return [
            json.dumps(each["params"])
            for each in self._browser.events
            if each["method"] in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
        ]

    @property
    def requested(self) -> list[str]:
        """The URLs that the page has asked for since it was opened, itself among them."""
        return [
            each["params"]["request"]["url"]
            for each in self._browser.events
            if each["method"] == "Network.requestWillBeSent"
        ]

    def spoken(self, *roles: str) -> list[str]:
        """Returns what a screen reader calls the things of some roles."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [
            each.get("name", {}).get("value", "").strip()
            for each in nodes
            if not each["ignored"] and each["role"]["value"] in roles
        ]
