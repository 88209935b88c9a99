"""Each endpoint, asked by its own client: recorded, replayed offline, verified without noise, rewritten unchanged."""

from __future__ import annotations

import pytest

from tests.conftest import KEY
from tests.dialects import Dialects

from .suite import Suite


@pytest.fixture
def model(suite: Suite) -> Dialects:
    """What answers; change it, and the API has changed."""
    suite.say = Dialects()
    return suite.say


def verify(suite: Suite, *options: str) -> pytest.RunResult:
    return suite.run("--stepreplay=verify", *options, key=KEY)


def check_rounds(suite: Suite, passed: int) -> None:
    """Records the suite, verifies and rewrites it while only volatile values are new, and replays it offline."""
    suite.record().assert_outcomes(passed=passed)
    files = {name: suite.cassette(name).read_bytes() for name in suite.cassettes}
    verified = verify(suite, "--stepreplay-fail-on=metadata")
    verified.assert_outcomes(passed=passed)
    verified.stdout.fnmatch_lines(["verified * unchanged, 0 drifted"])
    suite.run("--stepreplay=rewrite", key=KEY).assert_outcomes(passed=passed)
    assert {name: suite.cassette(name).read_bytes() for name in suite.cassettes} == files
    sent = suite.upstream.count
    suite.run().assert_outcomes(passed=passed)
    assert suite.upstream.count == sent


EMBEDDINGS = """
    import pytest
    from openai import OpenAI

    client = OpenAI(base_url="{url}")
    pytestmark = pytest.mark.stepreplay

    def ask(**options):
        return client.embeddings.create(model="embed-1", input=["red", "green"], **options)

    def test_floats(chat_snapshot):
        found = ask(encoding_format="float")
        assert len(found.data[0].embedding) == 256
        assert found == chat_snapshot

    def test_base64():
        assert len(ask().data[1].embedding) == 256
"""


def test_embeddings(suite: Suite, model: Dialects, capsys: pytest.CaptureFixture[str]) -> None:
    suite.write(EMBEDDINGS)
    check_rounds(suite, 2)
    text = suite.cassette("test_chat/test_floats.yaml").read_text()
    assert len(text.splitlines()) < 50, "a vector stands on one line"

    model.seed = 1
    result = verify(suite, "--stepreplay-fail-on=content")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "*data?0?.embedding: 256 dimensions, norm 1.000? -> 256 dimensions, norm 1.000?; cosine *, less than 0.999*"
        ]
    )
    assert max(map(len, result.outlines)) < 300, "numbers of a vector are not told"
    markdown = suite.pytester.path / "drift.md"
    verify(suite, f"--stepreplay-report={markdown}")
    assert max(map(len, markdown.read_text().splitlines())) < 400
    loose = "stepreplay_tolerances=data[*].embedding: cosine>=-1"
    verify(suite, "--stepreplay-fail-on=content", "-o", loose).assert_outcomes(passed=2)
