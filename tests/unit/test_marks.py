"""Which stretches of a text are coloured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_stepreplay.report.marks import marked_words
from pytest_stepreplay.texts.words import diff_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("plain", [("plain", "")]),
        (
            "Say [-hello-]{+goodbye+}.",
            [("Say ", ""), ("[-hello-]", "removed"), ("{+goodbye+}", "added"), (".", "")],
        ),
        ("[-a\nb-] {+c+}", [("[-a\n", ""), ("b-] ", ""), ("{+c+}", "added")]),
        ("x[-1] and {+", [("x[-1] and {+", "")]),
        ("[-a {+b-] c+}", [("[-a {+b-]", "removed"), (" c+}", "")]),
        (
            "so [-cut of… (similarity 0.10)",
            [("so ", ""), ("[-cut of…", "removed"), (" (similarity 0.10)", "")],
        ),
    ],
)
def test_stretches(text: str, expected: list[tuple[str, str]]) -> None:
    assert marked_words(text) == expected


@given(st.text("[]{}+-…ab \n"))
def test_joined_they_are_the_text(text: str) -> None:
    assert "".join(stretch for stretch, _ in marked_words(text)) == text


def test_all_that_a_word_diff_marks_is_found() -> None:
    shown = diff_words("The quick brown fox jumps.", "The slow brown dog jumps.")
    assert [it for it in marked_words(shown) if it[1]] == [
        ("[-quick-]", "removed"),
        ("{+slow+}", "added"),
        ("[-fox-]", "removed"),
        ("{+dog+}", "added"),
    ]


def test_a_line_of_opened_marks_is_read_once() -> None:
    text = "[-{+" * 200_000
    assert marked_words(text) == [(text, "")]
