"""Modules that run when something of them is first used."""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from pytest_stepreplay import lazy

FILES = {
    "__init__": "from pytest_stepreplay import lazy; lazy.install(__name__); ran = []",
    "user": "from . import room; from .room import broken, kitchen, other, slow\nfrom .room.plain import CUP",
    "room/__init__": "from .. import ran; ran.append('room'); from . import kitchen; SIZE = 3",
    "room/kitchen": "from .. import ran; ran.append('kitchen'); from . import other\ndef cook(): return other.EGGS",
    "room/other": "from .. import ran; ran.append('other'); from . import kitchen\nEGGS = 2\ncook = kitchen.cook",
    "room/plain": "CUP = 1",
    "room/broken": "PART = 1\nfrom .. import ran; ran.append('broken'); WHOLE = 1 if ran.count('broken') > 1 else 1 / 0",
    "room/slow": "from .. import ran; ran.append('slow'); ran.started.set(); ran.go.wait(); VALUE = 7",
}


class Ran(list[str]):
    """What has run, and two threads' agreement."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.go = threading.Event(), threading.Event()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name, text in FILES.items():
        path = tmp_path / "house" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "house"]:
        monkeypatch.delitem(sys.modules, name)
    house = import_module("house")
    monkeypatch.setattr(house, "ran", Ran())
    return house


def test_a_module_runs_when_it_is_first_used(house: ModuleType) -> None:
    user = import_module("house.user")
    assert house.ran == ["room"], "its package, for the sake of `plain`, and nothing else"
    assert user.CUP == 1
    assert "house.room.kitchen" not in sys.modules, "tools that look at all modules find it once it has run"
    assert user.kitchen.cook() == 2
    assert house.ran == ["room", "kitchen", "other"]
    assert user.kitchen is sys.modules["house.room.kitchen"] is import_module("house.room.kitchen")
    assert type(user.kitchen) is ModuleType, "so that it is as fast as any other"
    assert user.room.SIZE == 3
    assert user.other.cook is user.kitchen.cook, "a circle is harmless"


def test_what_is_not_there_is_an_error_as_everywhere(house: ModuleType) -> None:
    room = import_module("house.room")
    with pytest.raises(AttributeError, match=r"^module 'house.room.other' has no attribute 'ham'$"):
        _ = import_module("house.user").other.ham
    with pytest.raises(AttributeError, match=r"^module 'house.room' has no attribute 'cellar'$"):
        _ = room.cellar
    with pytest.raises(ImportError, match=r"cannot import name 'cellar' from 'house.room'"):
        exec("from house.room import cellar")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'house.room.cellar'"):
        import_module("house.room.cellar")


def test_tools_that_look_at_everything_run_nothing(house: ModuleType) -> None:
    kitchen = import_module("house.user").kitchen
    assert kitchen.__name__ == "house.room.kitchen"
    assert not hasattr(kitchen, "__wrapped__") and not hasattr(kitchen, "_pytestfixturefunction")
    assert house.ran == ["room"]
    assert "cook" in dir(kitchen), "whoever wants to know all names, as pytest of a plugin, gets them"


def test_a_module_that_failed_is_tried_again(house: ModuleType) -> None:
    broken = import_module("house.user").broken
    with pytest.raises(ZeroDivisionError):
        _ = broken.PART
    assert "house.room.broken" not in sys.modules and "PART" not in vars(broken)
    assert broken.WHOLE == 1


def test_a_module_that_python_was_told_to_forget_runs_once(
    house: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen = import_module("house.user").kitchen
    cook = kitchen.cook
    for name in ("house.room", "house.room.kitchen"):
        monkeypatch.delitem(sys.modules, name)
    assert import_module("house.room.kitchen") is kitchen and kitchen.cook is cook
    assert house.ran.count("kitchen") == 1


def test_threads_wait_for_the_one_that_runs_it(house: ModuleType) -> None:
    slow, found = import_module("house.user").slow, []
    threads = [threading.Thread(target=lambda: found.append(slow.VALUE)) for _ in range(8)]
    threads[0].start()
    house.ran.started.wait()
    for each in threads[1:]:
        each.start()
    house.ran.go.set()
    for each in threads:
        each.join()
    assert found == [7] * 8 and house.ran.count("slow") == 1


def test_the_names_of_a_package_are_imported_when_they_are_used(house: ModuleType) -> None:
    find = lazy.importer("house.room", {"kitchen": ("cook",)})
    room = import_module("house.room")
    assert house.ran == ["room"]
    assert find("cook")() == 2 and room.cook is room.kitchen.cook
    with pytest.raises(AttributeError, match="has no attribute 'sleep'"):
        find("sleep")
