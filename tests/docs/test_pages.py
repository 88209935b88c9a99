"""Every example of README.md and docs/ works as printed, and every link in them leads somewhere."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from pytest_stepreplay.endpoints import ENDPOINTS, GENERIC
from pytest_stepreplay.interception import clients
from pytest_stepreplay.settings import FIELDS, MARKER_ARGUMENTS, Settings
from pytest_stepreplay.vcr import stubbed_clients
from pytest_stepreplay.wire.headers import KEPT_RESPONSE_HEADERS

from .measure_peers import SCENARIOS
from .page import REPOSITORY, Reader, read_steps

ROOM = re.compile(r"^\| \w* ?\| `(\w+)` \| .+ \|$", re.MULTILINE)
DERIVED = {
    "pace": "`none`",
    "fail_on": "`behavior`, in snapshots `content`",
    "pending": "`true`, in CI `false`",
    "contract": "the host's",
}
"""Defaults that are no value: they depend on where the setting is used."""
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_does_what_it_says(page: Path, reader: Reader) -> None:
    reader.follow(page)


@pytest.mark.parametrize("page", [*PAGES, REPOSITORY / "cassettes/README.md"], ids=lambda page: page.name)
def test_every_link_leads_to_a_place_in_the_repository(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([\w-]*)\)", text):
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors_of(target), f"{link}#{anchor}"


def _anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_can_be_found_from_the_readme() -> None:
    linked = re.findall(r"\]\(docs/([\w-]+\.md)\)", (REPOSITORY / "README.md").read_text(encoding="utf-8"))
    assert sorted(set(linked)) == [page.name for page in PAGES[1:]]


def test_the_table_of_settings_is_complete() -> None:
    page = (REPOSITORY / "docs/settings.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    told = {name: (default, option, marker) for name, _, default, option, marker in rows}
    assert told == {
        name: (
            DERIVED.get(name) or _written(getattr(Settings(), name)),
            f"`{field.option}`" if field.option else "-",
            "yes" if field.marker else "-",
        )
        for name, field in FIELDS.items()
    }


def test_the_arguments_of_the_marker_are_all_told() -> None:
    page = (REPOSITORY / "docs/settings.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"takes these arguments: (.+?)\.\n", page, re.DOTALL)
    assert tuple(re.findall(r"`(\w+)`", told)) == MARKER_ARGUMENTS


def test_the_table_of_documented_defaults_is_the_one_that_is_used() -> None:
    page = (REPOSITORY / "docs/matching.md").read_text(encoding="utf-8")
    assert "\n".join(default_rows()) in page


def default_rows() -> Iterator[str]:
    """Yields the rows of the table of docs/matching.md, as the endpoints have it."""
    for endpoint in (*ENDPOINTS, GENERIC):
        for place, fields in endpoint.optional.items():
            yield _row(endpoint.name, ".".join(place).replace(".*", "[*]"), fields)
        for host, fields in endpoint.optional_by_host.items():
            yield _row(f"{endpoint.name} at {host}", "", fields)


def _row(name: str, place: str, fields: Mapping[str, tuple[object, ...]]) -> str:
    nulls = [f"`{field}`" for field, values in fields.items() if None in values]
    defaults = [
        f"`{field}: {json.dumps(value)}`"
        for field, values in fields.items()
        for value in values
        if value is not None
    ]
    told = [
        *([f"`null` in {', '.join(nulls)}"] if nulls else []),
        *([", ".join(defaults)] if defaults else []),
    ]
    return f"| {name} | {f'`{place}`' if place else 'the body'} | {'; '.join(told)} |"


def test_the_response_headers_that_are_kept_are_all_told() -> None:
    page = (REPOSITORY / "docs/cassettes.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"response headers but (.+?)\. `keep_headers`", page, re.DOTALL)
    assert set(re.findall(r"`([\w-]+)`", told)) == KEPT_RESPONSE_HEADERS


def test_the_table_of_rooms_is_the_one_that_is_held() -> None:
    page = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    assert ROOM.findall(page) == [room for layer in layers for room in layer.split(" | ")]


def test_the_classes_of_the_glossary_are_in_their_rooms() -> None:
    page = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \| `(\w+)` \| .+ \|$", page, re.MULTILINE)
    assert len(named) > 20
    for name, room in named:
        if not name[0].isupper():
            continue
        package = REPOSITORY / "pytest_stepreplay" / room
        files = package.glob("*.py") if package.is_dir() else [package.with_suffix(".py")]
        found = sum(
            len(re.findall(rf"^class {name}\b", file.read_text(encoding="utf-8"), re.MULTILINE))
            for file in files
        )
        assert found == 1, f"{room} has {found} classes named {name}"


def test_the_lines_told_of_our_own_code_are_about_right() -> None:
    page = (REPOSITORY / "docs/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| ((?:`[\w.]+`, )+)(\d+)[ ,]", page, re.MULTILINE)
    told = {names: int(lines) for names, lines in rows if "chances" not in names}  # a part of its module
    found = {names: sum(map(_lines_of, re.findall(r"[\w.]+", names))) for names in told}
    assert len(told) > 10
    assert found == {names: pytest.approx(lines, rel=0.15) for names, lines in told.items()}


def _lines_of(name: str) -> int:
    """Returns how many lines of a module, or of all in a package, hold code: no comment, and no docstring."""
    place = REPOSITORY / "pytest_stepreplay" / name.replace(".", "/")
    count = 0
    for path in [*place.glob("*.py")] or [place.with_suffix(".py")]:
        text = path.read_text(encoding="utf-8")
        said = {
            line
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
        }
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        code = (each for each in tokens if each.string.strip() and each.type != tokenize.COMMENT)
        count += len({line for each in code for line in range(each.start[0], each.end[0] + 1)} - said)
    return count


def test_the_guide_names_tables_that_exist() -> None:
    page = (REPOSITORY / "docs/contributing.md").read_text(encoding="utf-8")
    table = page[page.index("| to add this | go here |") :].split("\n\n")[0]
    rows = [re.findall(r"`([\w/.]+)`", row.split(" | ")[1]) for row in table.splitlines()[2:]]
    assert len(rows) == 7
    for names in rows:
        paths = [REPOSITORY / "pytest_stepreplay" / name for name in names if "/" in name]
        files = [path / "__init__.py" if path.is_dir() else path for path in paths]
        text = "".join(file.read_text(encoding="utf-8") for file in files)
        for name in filter(str.isupper, names):
            assert re.search(rf"^{name}\b", text, re.MULTILINE), f"{name} is not in {names}"


def test_the_workflows_run_what_the_page_runs() -> None:
    steps = read_steps(REPOSITORY / "docs/ci.md")
    commands = "".join(step.text for step in steps if step.language == "sh")
    workflows = [yaml.safe_load(step.text) for step in steps if step.language == "yaml"]
    runs = [
        step["run"]
        for workflow in workflows
        for job in workflow.get("jobs", {}).values()
        for step in job["steps"]
        if step.get("run", "").startswith("pytest") and "matrix." not in step["run"]
    ]
    assert len(runs) == 3
    assert len(workflows) == 5
    assert all(run in commands for run in runs)


def test_the_table_of_peers_has_the_rows_that_were_measured() -> None:
    page = (REPOSITORY / "docs/peers.md").read_text(encoding="utf-8")
    measured, _, _ = page.partition("| attack |")
    assert re.findall(r"^\| (\w[^|]+?) \|", measured, re.MULTILINE) == [*SCENARIOS]


def _written(default: object) -> str:
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`{' '.join(default)}`" if default else "none"
    return f"`{default}`"


def test_the_pages_name_every_client_and_mock() -> None:
    stubbed_clients.serve_stubbed_clients()
    pages = {
        name: (REPOSITORY / f"docs/{name}.md").read_text(encoding="utf-8") for name in ("clients", "mocks")
    }
    assert [name for name in clients.intercepted() if name not in pages["clients"]] == []
    assert [name for name in clients.recognized() if name not in pages["mocks"]] == []
