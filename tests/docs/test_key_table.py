"""The command that renews the table of keys: what it takes of a rule, and what it leaves out with a reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from pytest_stepreplay.redaction import key_table

from . import renew_key_table
from .renew_key_table import Row, rows_of, table_of

if TYPE_CHECKING:
    from pathlib import Path

END = r"""(?:[\x60'"\s;]|\\[nr]|$)"""
NAMED = r"""(?i)[\w.-]{0,50}?(?:shop)(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"""


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        (rf"\b(dapi[a-f0-9]{{32}}(?:-\d)?){END}", [("dapi", r"[a-f0-9]{32}(?:\-[0-9]){0,1}")]),
        (r"gh[us]_[0-9a-zA-Z]{36}", [("ghu_", "[0-9a-zA-Z]{36}"), ("ghs_", "[0-9a-zA-Z]{36}")]),
        (rf"\b(p8e-(?i)[a-z0-9]{{32}}){END}", [("p8e-", "(?i:[a-z0-9]{32})")]),
        (r"(?i)\b(npm_[a-z0-9]{36})\b", [("npm_", "(?i:[a-z0-9]{36})")]),
        (r"\b(pat[[:alnum:]]{14}\.[a-f0-9]{64})\b", []),
        (rf"{NAMED}(shop_[a-z0-9]{{32}}){END}", [("shop_", "(?i:[a-z0-9]{32})")]),
        (rf"{NAMED}([a-f0-9]{{32}}){END}", []),
        (rf"{NAMED}(live_[a-f0-9]{{35}}){END}", []),
    ],
)
def test_a_rule_becomes_the_start_of_a_key_and_the_rest(expression: str, rows: list[tuple[str, str]]) -> None:
    rule = {"id": "shop-token", "regex": expression}
    if not rows:
        with pytest.raises(renew_key_table.UntranslatableError):
            rows_of(rule)
    else:
        assert rows_of(rule) == [Row(start, rest, "shop-token") for start, rest in rows]


def test_the_command_writes_the_table_and_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        "[[rules]]\nid = 'shop-token'\nregex = '''\\b(shop_[a-z0-9]{32})\\b'''\n"
        "[[rules]]\nid = 'shop-client-id'\nregex = '''\\b(shopid_[a-z0-9]{32})\\b'''\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(renew_key_table, "TABLE", tmp_path / "table.py")
    renew_key_table.main([f"{rules}=v1@2026-01-02"])
    text = (tmp_path / "table.py").read_text(encoding="utf-8")
    assert '"rules": "v1, 2026-01-02",' in text
    assert '("shop_", r"[a-z0-9]{32}", "shop-token"),' in text
    assert capsys.readouterr().out == "left out: shop-client-id: no secret\n1 rows of 1 rules\n"


def test_the_table_is_as_the_command_writes_it() -> None:
    path = renew_key_table.TABLE
    rows = [Row(*row) for row in key_table.KEYS]
    assert path.read_text(encoding="utf-8") == table_of(key_table.SOURCES, rows)
    for start, rest, _ in key_table.KEYS:
        assert len(start) >= 3
        re.compile(rest)
        re.compile(rest.encode())
