"""A project's own say on texts: a judge of two of them, or an embedding of one, becomes a text rule.

A callable, or ``MODULE:FUNCTION``, goes in. The module is looked for at once, and imported when the rule is first
asked, so that a model is loaded only where texts differ.
"""

from __future__ import annotations

import math
import re
import sys
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module
from importlib.util import find_spec
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final

from ..machine import disk
from .text_rules import TextRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NAMED: Final = re.compile(r"([\w.]+):([\w.]+)\s*(?:>=\s*(0?\.\d+|1(?:\.0*)?))?", re.ASCII)
_LEAST_COSINE: Final = 0.9
_KEPT_VECTORS: Final = 1024


def read_judge(value: object) -> TextRule:
    """Returns the rule that a callable, or ``MODULE:FUNCTION``, stands for.

    A function of two texts says whether they mean the same. One of a single text returns its vector, and two texts
    are the same where the cosine of the angle between theirs is 0.9 or more, or as ``MODULE:FUNCTION>=0.85`` says.

    Raises:
        ValueError: it stands for none.
    """
    if isinstance(value, TextRule):
        return value
    if callable(value):
        return _rule_of(getattr(value, "__name__", type(value).__name__), lambda: value, _LEAST_COSINE)
    found = _NAMED.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found:
        raise ValueError(
            f"{value!r:.80} is neither a callable nor MODULE:FUNCTION, such as my_judges:mean_the_same"
        )
    module, function, least = found.groups()
    with _project_on_path():
        try:
            is_there = find_spec(module) is not None
        except (ImportError, ValueError):
            is_there = False
    if not is_there:
        raise ValueError(f"{value!r:.80}: there is no module {module!r:.80} here")
    return _rule_of(
        f"{module}:{function}", lambda: _function_in(module, function), float(least or _LEAST_COSINE)
    )


def _rule_of(name: str, find: Callable[[], Callable[..., Any]], least: float) -> TextRule:
    @cache
    def found() -> Callable[[str, str], object]:
        function = find()
        if _takes_two(function):
            return function
        vector = lru_cache(_KEPT_VECTORS)(function)
        return lambda old, new: _cosine(vector(old), vector(new)) >= least

    def accepts(old: str, new: str) -> object:
        return found()(old, new)  # it is looked for when it is first asked

    return TextRule(name, accepts, f"{name} says that they differ")


def _function_in(module: str, function: str) -> Callable[..., Any]:
    with _project_on_path():
        found: Any = import_module(module)
        for name in function.split("."):
            found = getattr(found, name)
    if not callable(found):
        raise TypeError(f"{module}:{function} is no function")
    return found  # type: ignore[no-any-return]  # a project's own


def _takes_two(function: Callable[..., Any]) -> bool:
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    taken = signature(function).parameters.values()
    needed = [each for each in taken if each.kind in kinds and each.default is Parameter.empty]
    return len(needed) > 1 or any(each.kind is Parameter.VAR_POSITIONAL for each in taken)


def _cosine(one: Any, other: Any) -> float:
    first, second = [float(each) for each in one], [float(each) for each in other]
    length = math.hypot(*first) * math.hypot(*second)
    return sum(a * b for a, b in zip(first, second, strict=True)) / length if length else 0.0


@contextmanager
def _project_on_path() -> Iterator[None]:
    """Lets modules of the working directory be found, as `python -m` does."""
    here = disk.folder_of_process()
    if here in sys.path:
        yield
        return
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
