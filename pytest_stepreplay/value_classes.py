"""Classes of values: what `dataclasses.dataclass` makes, in a fifth of the time.

A run imports some fifty of them. `dataclasses` compiles up to six methods for each, at import. Here equality,
hash, text and refusal to change are functions that all classes share, and what belongs to one class, its `__init__`
and its list of fields, is made when it is first asked for. Type checkers see `dataclasses.dataclass` itself.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, Field, FrozenInstanceError, field
from functools import partial
from operator import attrgetter
from reprlib import recursive_repr
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed import DataclassInstance

__all__ = ["dataclass", "field", "values_of"]


def values_of(value: object) -> dict[str, Any]:
    """Returns what the fields of a value hold, by their names."""
    return {name: getattr(value, name) for name in getattr(type(value), _MEMBERS)}


class _Member:
    """One field: its annotation, and what the class gives it, which `MISSING` is nothing."""

    __slots__ = ("annotation", "given", "kw_only")

    def __init__(self, annotation: Any, given: Any, kw_only: bool) -> None:
        self.annotation, self.given, self.kw_only = annotation, given, kw_only

    def says(self, name: str) -> Any:
        """Returns what `field()` was told of it, or would have been by default."""
        if isinstance(self.given, Field):
            return getattr(self.given, name)
        return self.given if name == "default" else MISSING if name == "default_factory" else True

    @property
    def is_hashed(self) -> bool:
        """Whether it counts in the hash: as it does in a comparison, unless `field()` was told otherwise."""
        asked = self.given.hash if isinstance(self.given, Field) else None
        return bool(self.says("compare") if asked is None else asked)


class _WhenAsked:
    """An attribute of a class that is made, and put in its own place, when it is first asked for."""

    def __init__(self, name: str, make: Callable[[type], Any]) -> None:
        self._name, self._make = name, make

    def __get__(self, instance: object, owner: type) -> Any:
        # The `inspect.signature` of Python 3.13 asks with the class as the instance.
        asked = instance if isinstance(instance, type) else owner
        holder = next(each for each in asked.__mro__ if self._name in vars(each))
        made = vars(holder)[self._name]
        if made is self:
            made = self._make(holder)
            setattr(holder, self._name, made)
        return made.__get__(instance, owner) if hasattr(made, "__get__") else made


class _Init(_WhenAsked):
    """An `__init__` that is compiled for a class of which many values are made; of most, a run makes a few."""

    def __init__(self) -> None:
        super().__init__("__init__", _make_init)
        self._left = _FEW

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is not None and self._left and vars(owner).get("__init__") is self:
            self._left -= 1
            return partial(_init_slowly, instance)
        return super().__get__(instance, owner)


_FEW: Final = 8
_MEMBERS: Final = "__stepreplay_members__"
_COMPARED: Final = "__stepreplay_compared__"
_HASHED: Final = "__stepreplay_hashed__"
_NOT_GIVEN: Final = object()
"""Stands for an argument whose default is made for each value."""


def _dataclass(cls: type | None = None, /, **told: bool) -> Any:
    """Makes a class of values, as `dataclasses.dataclass` does; what is rarely used is left to that."""
    if cls is None:
        return lambda cls: _dataclass(cls, **told)
    members = _members_of(cls, kw_only=told.get("kw_only", False))
    if members is None or not told.keys() <= {"frozen", "slots", "kw_only", "eq", "repr"}:
        return dataclasses.dataclass(**told)(cls)
    frozen, slots = told.get("frozen", False), told.get("slots", False)
    own = vars(cls)
    made: dict[str, Any] = {
        _MEMBERS: members,
        "__dataclass_fields__": _WhenAsked("__dataclass_fields__", _make_fields),
        "__match_args__": tuple(name for name, member in members.items() if not member.kw_only),
    }
    if "__init__" not in own:
        made["__init__"] = _Init()
    if told.get("repr", True) and "__repr__" not in own:
        made["__repr__"] = _text_of
    if told.get("eq", True) and "__eq__" not in own:
        made["__eq__"] = _equals
        made[_COMPARED] = _WhenAsked(_COMPARED, _make_compared)
        if frozen and own.get("__hash__") is None:
            made["__hash__"] = _hash_of
            made[_HASHED] = _WhenAsked(_HASHED, _make_hashed)
        elif not frozen:
            made["__hash__"] = None
    if frozen:
        made["__setattr__"], made["__delattr__"] = _refuse_to_set, _refuse_to_delete
    return _with_slots(cls, members, made, frozen) if slots else _changed(cls, made)


def _members_of(cls: type, *, kw_only: bool) -> dict[str, _Member] | None:
    """Returns the fields of a class by name, its bases' first; None where `dataclasses` has to look at it."""
    members: dict[str, _Member] = {}
    for base in reversed(cls.__mro__[1:]):
        own = vars(base)
        if _MEMBERS in own:
            members.update(own[_MEMBERS])
        elif "__dataclass_fields__" in own:
            return None
    own = vars(cls)
    for name, annotation in cls.__annotations__.items():
        given = own.get(name, MISSING)
        if not isinstance(annotation, str) or "InitVar" in annotation or "KW_ONLY" in annotation:
            return None
        if isinstance(given, Field) and (not given.init or given.kw_only is not MISSING):
            return None
        if annotation.removeprefix("typing.").startswith("ClassVar"):
            continue
        members[name] = _Member(annotation, given, kw_only)
    return members


def _changed(cls: type, made: dict[str, Any]) -> type:
    for name in cls.__annotations__:
        given = vars(cls).get(name)
        if isinstance(given, Field):
            if given.default is MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, given.default)
    for name, value in made.items():
        setattr(cls, name, value)
    return cls


def _with_slots(cls: type, members: dict[str, _Member], made: dict[str, Any], frozen: bool) -> type:
    """Returns the class anew: slots can be given to none that is there."""
    inherited = {name for base in cls.__mro__[1:] for name in vars(base).get("__slots__", ())}
    left_out = {*members, "__dict__", "__weakref__"}
    names = {name: value for name, value in vars(cls).items() if name not in left_out}
    if frozen:
        made |= {"__getstate__": _state_of, "__setstate__": _set_state}
    names |= made
    names["__slots__"] = tuple(name for name in members if name not in inherited)
    anew = type(cls)(cls.__name__, cls.__bases__, names)
    anew.__qualname__ = cls.__qualname__
    return anew


def _make_fields(cls: type) -> dict[str, Field[Any]]:
    """Returns what `dataclasses.fields` gives, made by `dataclasses`."""
    members: dict[str, _Member] = getattr(cls, _MEMBERS)
    names = {name: each.given for name, each in members.items() if each.given is not MISSING}
    # Nothing of a module is looked up: a fake file system makes Python forget those that were imported in it.
    plain: type[DataclassInstance] = type(
        cls.__name__, (), {**names, "__annotations__": dict.fromkeys(members, object), "__doc__": "-"}
    )
    dataclasses.dataclass(init=False, repr=False, eq=False)(plain)
    for name, each in plain.__dataclass_fields__.items():
        each.type, each.kw_only = members[name].annotation, members[name].kw_only
    return plain.__dataclass_fields__


def _make_compared(cls: type) -> Callable[[Any], Any]:
    members: dict[str, _Member] = getattr(cls, _MEMBERS)
    return _getter(name for name, each in members.items() if each.says("compare"))


def _make_hashed(cls: type) -> Callable[[Any], Any]:
    members: dict[str, _Member] = getattr(cls, _MEMBERS)
    return _getter(name for name, each in members.items() if each.is_hashed)


def _getter(names: Iterable[str]) -> Callable[[Any], Any]:
    names = tuple(names)
    return attrgetter(*names) if names else staticmethod(lambda _value: ())


def _make_init(cls: type) -> Callable[..., None]:
    members: dict[str, _Member] = getattr(cls, _MEMBERS)
    frozen = getattr(cls, "__setattr__") is _refuse_to_set  # noqa: B009 - mypy would compare their types
    known: dict[str, Any] = {"_not_given": _NOT_GIVEN}
    positional: list[str] = []
    named: list[str] = []
    lines: list[str] = []
    for name, member in members.items():
        parameter = value = name
        if member.says("default_factory") is not MISSING:
            known[f"_make_{name}"] = member.says("default_factory")
            parameter, value = f"{name}=_not_given", f"_make_{name}() if {name} is _not_given else {name}"
        elif member.says("default") is not MISSING:
            known[f"_default_{name}"] = member.says("default")
            parameter = f"{name}=_default_{name}"
        (named if member.kw_only else positional).append(parameter)
        slot = getattr(cls, name, None)
        if not frozen:
            lines.append(f"self.{name} = {value}")
        elif isinstance(slot, MemberDescriptorType):  # a third faster than by its name
            known[f"_set_{name}"] = slot.__set__
            lines.append(f"_set_{name}(self, {value})")
        else:
            lines.append(f"_fields[{name!r}] = {value}")
    if any(each.startswith("_fields") for each in lines):
        lines.insert(0, "_fields = self.__dict__")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    parameters = ", ".join(["self", *positional, *(["*"] if named else []), *named])
    body = "\n    ".join(lines or ["pass"])
    exec(f"def __init__({parameters}):\n    {body}", known)  # noqa: S102 - of our own fields' names, as in `dataclasses`
    init: Callable[..., None] = known["__init__"]
    init.__annotations__ = {name: each.annotation for name, each in members.items()} | {"return": "None"}
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    return init


# What all classes share.


def _init_slowly(self: Any, /, *given: Any, **named: Any) -> None:
    """Does what the compiled `__init__` does."""
    members: dict[str, _Member] = self.__stepreplay_members__
    values = dict(zip((name for name, each in members.items() if not each.kw_only), given, strict=False))
    ready = len(values) == len(given) and values.keys().isdisjoint(named) and members.keys() >= named.keys()
    values |= named
    for name, each in members.items():
        if name not in values:
            make = each.says("default_factory")
            values[name] = each.says("default") if make is MISSING else make()
    if not ready or any(each is MISSING for each in values.values()):
        type(self).__init__(self, *given, **named)  # which says what is wrong
        return
    frozen = getattr(type(self), "__setattr__") is _refuse_to_set  # noqa: B009 - as above
    put = object.__setattr__ if frozen else setattr
    for name in members:
        put(self, name, values[name])
    if hasattr(self, "__post_init__"):
        self.__post_init__()


def _equals(self: Any, other: Any) -> Any:
    if self.__class__ is not other.__class__:
        return NotImplemented
    compared = self.__stepreplay_compared__
    return compared(self) == compared(other)


def _hash_of(self: Any) -> int:
    return hash(self.__stepreplay_hashed__(self))


@recursive_repr()
def _text_of(self: Any) -> str:
    members: dict[str, _Member] = self.__stepreplay_members__
    shown = (f"{name}={getattr(self, name)!r}" for name, each in members.items() if each.says("repr"))
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    if name in self.__stepreplay_members__ or "__setattr__" in vars(type(self)):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse_to_delete(self: Any, name: str) -> None:
    if name in self.__stepreplay_members__ or "__setattr__" in vars(type(self)):
        raise FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _state_of(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__stepreplay_members__]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__stepreplay_members__, state, strict=True):
        object.__setattr__(self, name, value)


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
