"""Lists of quoted lines, as the events of a stream stand in a cassette: read quickly, and never wrongly."""

from __future__ import annotations

import pytest
import yaml

from pytest_stepreplay.store.yaml_parser import UnusualTextError, parse


@pytest.mark.parametrize(
    "last", ["'c'", "''", "'it''s'", "'c: d'", "plain", '"a\\tb"', "'c': 1", "- 'c'", "5", "{}"]
)
def test_every_line_reads_as_yaml_reads_it(last: str) -> None:
    text = f"events:\n- 'a'\n- 'b'\n- {last}\n- 'z'\n"
    assert parse(text) == yaml.safe_load(text)


@pytest.mark.parametrize("last", ["'c", "'", "'c'd", "'it's'", "'a\tb'", "'c' # note", "'c' "])
def test_a_line_that_only_begins_like_one_is_left_to_the_general_parser(last: str) -> None:
    with pytest.raises(UnusualTextError):
        parse(f"events:\n- 'a'\n- {last}\n- 'z'\n")
