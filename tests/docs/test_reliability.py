"""docs/reliability.md names tests that exist and numbers that are theirs, docs/peers.md the attacks that were made."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from pytest_stepreplay.redaction import key_table
from tests.fuzz.targets import TARGETS
from tests.plugin import test_hostile, test_keys_and_network, test_order, test_threads
from tests.unit import (
    test_concurrency,
    test_escaped_keys,
    test_false_alarms,
    test_fuzz_texts,
    test_network,
    test_scan,
)

from .attack_peers import ATTACKS, TOOLS
from .page import REPOSITORY

PAGE = (REPOSITORY / "docs/reliability.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
KINDS = f"{len(test_scan.SHAPES)} kinds of keys in {len(test_scan.PLACES)} places"
FIGURES = {
    "test_a_key_is_found_by_its_shape": KINDS,
    "test_a_finding_never_shows_the_secret": KINDS,
    "test_the_value_of_a_secret_variable_is_found_whatever_it_looks_like": f"2 values in {len(test_scan.PLACES)} places",
    "test_an_escape_in_front_of_a_key_hides_it_from_neither_wall": (
        f"{len(test_escaped_keys.ESCAPES)} escapes in {len(test_escaped_keys.PLACES)} places"
    ),
    "test_a_key_that_is_written_in_escapes_is_hidden_from_neither_wall": (
        f"{len(test_escaped_keys.HIDDEN)} ways in {len(test_escaped_keys.PLACES)} places"
    ),
    "test_every_kind_of_key_in_the_table_is_known_to_both_walls": f"{len(key_table.KEYS)} rows",
    "test_every_place_of_an_alarm_can_be_allowed": (
        f"{len(test_scan.PLACES) + len(test_false_alarms.NAMED)} places"
    ),
    "test_what_would_leave_this_machine_is_refused": f"{len(test_network.ATTEMPTS)} ways",
    "test_no_other_host_is_reachable_in_replay": f"{len(test_keys_and_network.REACHING)} ways",
    "test_each_request_is_recorded_once_and_each_answer_is_its_own": (
        f"{len(test_concurrency.CLIENTS)} clients, {test_concurrency.THREADS} threads or tasks, "
        f"{test_concurrency.EACH} requests each"
    ),
    "test_what_a_thread_asks_after_its_test_gets_into_no_other_cassette": f"{len(test_threads.STARTS)} ways",
    "test_a_hostile_file_is_refused_in_one_message": f"{len(test_hostile.ATTACKS)} files",
    "test_a_hostile_file_does_not_exhaust_memory": f"{test_hostile.MEMORY >> 20} MiB at most",
    "test_what_was_found_once": f"{len(TARGETS)} readers, 100 inputs of each kind a run, and a corpus of {len(test_fuzz_texts.KEPT)} files",
    "test_a_run_that_is_stopped_writes_nothing_of_what_it_was_doing": f"2 endings at {len(test_order.PLACES)} places",
}
"""What stands in the last cell of a test's row."""


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part.rpartition("/")[2])
def test_a_named_test_exists(path: str, name: str) -> None:
    assert name in functions_in(path)


@cache
def functions_in(path: str) -> set[str]:
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    return {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_every_row_of_a_promise_names_a_test() -> None:
    rows = [row for row in re.findall(r"^\| .+ \|$", PAGE, re.MULTILINE) if len(row.split(" | ")) == 3]
    promises = [row for row in rows if "| shown by |" not in row]
    assert len(promises) > 30
    assert [row for row in promises if "::test_" not in row] == []


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_that_of_the_test(name: str) -> None:
    (row,) = [row for row in PAGE.splitlines() if f"::{name}`" in row]
    assert FIGURES[name] in row.split(" | ")[-1]


def test_the_page_about_secrets_names_the_sources_of_the_table() -> None:
    page = (REPOSITORY / "docs/secrets.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(\w+)\]\(\S+\) \| (.+) \|$", page, re.MULTILINE)
    assert dict(rows) == key_table.SOURCES
    assert f"{len({what for _, _, what in key_table.KEYS})} rules" in page


def test_the_table_of_attacks_has_the_rows_and_tools_that_were_measured() -> None:
    page = (REPOSITORY / "docs/peers.md").read_text(encoding="utf-8")
    table = page[page.index("| attack |") :].split("\n\n")[0]
    rows = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in table.splitlines()]
    assert rows[0] == ["attack", *(tool.name for tool in TOOLS)]
    assert [row[0] for row in rows[2:]] == [*ATTACKS]
    assert all(len(row) == 1 + len(TOOLS) and all(row) for row in rows[2:])
