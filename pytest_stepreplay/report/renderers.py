"""The table of renderers: what can be reported, and in which forms.

A new form is one module with one function, from the value to text, and one entry in `RENDERERS`. Where a form has a
suffix, every option that takes a file for this kind of report writes it, by the file's name.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..drift.changes import Drift
from ..errors import SettingsError
from . import mutated_page, run_as_html
from .mutated_runs import MutatedRun, mutants_as_json, mutants_as_markdown, mutants_in_terminal
from .run_as_json import render_as_json
from .run_as_markdown import render_as_markdown
from .run_in_terminal import render_in_terminal
from .verified_runs import VerifiedRun

if TYPE_CHECKING:
    from collections.abc import Callable


class Renderer(NamedTuple):
    """One form of a report.

    Attributes:
        render: takes the value; returns text that is safe where it is read.
        suffix: what the names of files in this form end in; empty where it is for no file.
        needs: a library that the form needs, and the extra that brings it; empty for none.
    """

    render: Callable[[Any], str]
    suffix: str = ""
    needs: tuple[str, str] | None = None


def _drift_as_json(drift: Drift) -> str:
    return json.dumps(drift.to_json(), indent=2, ensure_ascii=False)


def _run_as_html(run: VerifiedRun) -> str:
    return run_as_html.render_as_html(run)  # what imports jinja2 is imported when it is used


def _mutants_as_html(run: MutatedRun) -> str:
    return mutated_page.mutants_as_html(run)


RENDERERS: Final[dict[type, dict[str, Renderer]]] = {
    Drift: {
        "line": Renderer(Drift.line),
        "short": Renderer(Drift.short),
        "full": Renderer(Drift.full),
        "json": Renderer(_drift_as_json, ".json"),
        "markdown": Renderer(Drift.to_markdown, ".md"),
    },
    VerifiedRun: {
        "terminal": Renderer(render_in_terminal),
        "json": Renderer(render_as_json, ".json"),
        "markdown": Renderer(render_as_markdown, ".md"),
        "html": Renderer(_run_as_html, ".html", ("jinja2", "html")),
    },
    MutatedRun: {
        "terminal": Renderer(mutants_in_terminal),
        "json": Renderer(mutants_as_json, ".json"),
        "markdown": Renderer(mutants_as_markdown, ".md"),
        "html": Renderer(_mutants_as_html, ".html", ("jinja2", "html")),
    },
}
"""By what is reported, the forms by their names."""


def render(value: object, form: str) -> str:
    """Returns a value in one of its forms.

    Args:
        value: of a class in `RENDERERS`.
        form: the name of a form.

    Raises:
        ValueError: there is no such form; the message lists those there are.
    """
    forms = RENDERERS[type(value)]
    if form not in forms:
        raise ValueError(f"there is no renderer {form!r:.60}; there are {', '.join(forms)}")
    return forms[form].render(value)


def form_for(file: str, kind: type) -> str:
    """Returns the name of the form in which a file is written.

    Args:
        file: its name.
        kind: what is reported, a class in `RENDERERS`.

    Raises:
        SettingsError: no form has such files; the message lists what a name may end in. Or the library that the form
            needs is not installed.
    """
    suffixes = {renderer.suffix: form for form, renderer in RENDERERS[kind].items() if renderer.suffix}
    for suffix, form in suffixes.items():
        if file.endswith(suffix):
            _check_library(file, RENDERERS[kind][form])
            return form
    *others, last = suffixes
    raise SettingsError(f"{file!r} must end in {', '.join(others)} or {last}")


def _check_library(file: str, renderer: Renderer) -> None:
    if renderer.needs is None or find_spec(renderer.needs[0]) is not None:
        return
    library, extra = renderer.needs
    raise SettingsError(
        f"{file!r} needs {library}, which is not installed.\n"
        f"Install it with: pip install 'pytest-stepreplay[{extra}]'"
    )
