"""Classes of values: made by us, they do what those of `dataclasses` do."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from pydantic import TypeAdapter, ValidationError

from pytest_stepreplay import value_classes

if TYPE_CHECKING:
    from collections.abc import Callable

    Maker = Callable[..., Any]


def _point(make: Maker, **told: bool) -> Any:
    @make(**told)
    class Point:
        """A place."""

        x: int
        y: int = 0
        names: list[str] = field(default_factory=list, compare=False)
        secret: str = field(default="", repr=False, hash=False)
        unit: ClassVar[str] = "m"

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("x is negative")

        def moved(self) -> Any:
            return replace(self, x=self.x + 1)  # type: ignore[type-var]  # which maker it has, mypy cannot know

    return Point


def _deeper(make: Maker, **told: bool) -> Any:
    @make(**told)
    class Deeper(_point(make, **told)):  # type: ignore[misc]  # a class made by a function
        z: int = 5

    return Deeper


WAYS = [
    {},
    {"frozen": True},
    {"frozen": True, "slots": True},
    {"slots": True},
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True, "eq": False},
    {"eq": False, "repr": False},
    {"frozen": True, "order": True},
]


def _facts(cls: Any) -> dict[str, Any]:
    """What can be seen of a class and its values."""

    def happens(do: Callable[[], object]) -> object:
        try:
            return do()
        except Exception as error:  # noqa: BLE001 - whatever it is, the two are compared
            return type(error), str(error).replace(cls.__qualname__, "")

    def attempt(do: Callable[[Any], object]) -> object:
        value = cls(x=1, names=["a"], secret="s")
        return happens(lambda: do(value)), value.x

    one, same, other = cls(x=1, names=["a"]), cls(x=1, names=["b"]), cls(x=1, secret="s")
    return {
        "parameters": [(each.name, each.kind) for each in inspect.signature(cls).parameters.values()],
        "fields": [
            (each.name, each.type, each.default, each.default_factory, each.repr, each.compare, each.kw_only)
            for each in fields(cls)
        ],
        "match": cls.__match_args__,
        "slots": vars(cls).get("__slots__"),
        "dict": hasattr(one, "__dict__"),
        "doc": bool(cls.__doc__ and cls.__doc__.startswith("A place")),
        "equal": (one == same, one == other, one == 1, one != same),
        "hash": happens(lambda: hash(one) == hash(same)) if one == same else cls.__hash__ is object.__hash__,
        "hash without": happens(lambda: hash(one) == hash(other)) if one == same else None,
        "text": repr(one) if "object at" not in repr(one) else "object's",
        "default": (
            one.y,
            cls(x=1).names,
            cls(x=1).names is cls(x=1).names,
            cls.unit,
            getattr(one, "z", None),
        ),
        "moved": one.moved().x,
        "plain": happens(lambda: dataclasses.asdict(one)),
        "set": attempt(lambda value: setattr(value, "x", 2)),
        "set new": attempt(lambda value: setattr(value, "new", 2)) if "slots" not in str(cls) else None,
        "delete": attempt(lambda value: delattr(value, "secret")),
        "copied": (copy.deepcopy(one).names, copy.copy(one).x),
        "missing": happens(cls)[0],  # type: ignore[index]
        "unknown": happens(lambda: cls(x=1, q=1))[0],  # type: ignore[index]
        "positional": happens(lambda: cls(1).x),
        "checked": happens(lambda: cls(x=-1)),
    }


@pytest.mark.parametrize("kind", [_point, _deeper])
def test_a_class_of_values_is_what_dataclasses_make(kind: Callable[..., Any]) -> None:
    for told in WAYS:
        ours, theirs = (
            _facts(kind(value_classes.dataclass, **told)),
            _facts(kind(dataclasses.dataclass, **told)),
        )
        for facts in (ours, theirs):
            if told.get("slots") and told.get("frozen"):  # theirs says that super() is wrong, with slots
                del facts["set new"]
        assert ours == theirs, told


@pytest.mark.parametrize("told", WAYS, ids=str)
def test_the_first_values_of_a_class_are_made_as_all_others(told: dict[str, bool]) -> None:
    cls = _point(value_classes.dataclass, **told)
    assert len({str(_facts(cls)) for _ in range(9)}) == 1, "the first few before its `__init__` is compiled"


def test_values_of_which_nothing_is_compared_are_equal() -> None:
    @value_classes.dataclass(frozen=True, slots=True)
    class Noted:
        note: str = field(default="", compare=False)

    for _ in range(2):
        assert Noted("a") == Noted("b") and hash(Noted("a")) == hash(Noted("b"))


@value_classes.dataclass(frozen=True, slots=True)
class Pickled:
    """At the top of a module, where pickle finds it."""

    x: int
    inner: Pickled | None = None


def test_a_class_of_values_is_pickled_matched_and_validated() -> None:
    value = Pickled(1, Pickled(2))
    assert pickle.loads(pickle.dumps(value)) == value
    match value:
        case Pickled(1, Pickled(inside)):
            assert inside == 2
    assert TypeAdapter(Pickled).validate_python({"x": 1, "inner": {"x": 2}}) == value
    with pytest.raises(ValidationError):
        TypeAdapter(Pickled).validate_python({"y": 1})
    with pytest.raises(FrozenInstanceError):
        value.x = 2  # type: ignore[misc]  # it is refused
