"""The cassettes of the examples are what the examples record from the built-in upstream, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_stepreplay.cli import main as stepreplay
from pytest_stepreplay.store.paths import iter_cassettes
from pytest_stepreplay.upstream import Upstream
from tests.conftest import KEY
from tests.examples.record import API, EXAMPLES, REPOSITORY, copy_examples, name_the_api
from tests.few_plugins import few_plugins
from tests.left_open import ClosedClients

RECORDED = REPOSITORY / "cassettes" / EXAMPLES


@pytest.fixture
def again(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, upstream: Upstream) -> Iterator[Path]:
    """The examples, recorded anew in a folder of their own."""
    monkeypatch.setenv("STEP_API_KEY", KEY)
    copy_examples(pytester.path, upstream.url)
    with few_plugins("asyncio") as few:
        given = (*few, "-p", "no:cacheprovider", "--stepreplay=record")
        result = pytester.runpytest_inprocess(*given, plugins=[ClosedClients()])
    assert result.ret == 0
    name_the_api(pytester.path / "cassettes", upstream.url)
    yield pytester.path / "cassettes" / EXAMPLES


def test_recorded_again_they_mean_the_same(again: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [path.relative_to(RECORDED) for path in iter_cassettes(RECORDED)]
    assert names == [path.relative_to(again) for path in iter_cassettes(again)]
    for name in names:
        capsys.readouterr()
        assert stepreplay(["diff", "--json", str(RECORDED / name), str(again / name)]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["level"] == "none"
        assert all(pair["same_request"] for pair in found["compared"])


def test_they_name_the_api_and_hold_no_key(again: Path) -> None:
    for path in [*iter_cassettes(RECORDED), *iter_cassettes(again)]:
        text = path.read_text(encoding="utf-8")
        assert f"url: {API}/chat/completions" in text
        assert "127.0.0.1" not in text
        assert KEY not in text
