"""Which cassettes are near another one, and how little is listed to say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_stepreplay.machine import disk
from pytest_stepreplay.store import nearby
from pytest_stepreplay.store.nearby import Neighborhood


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("stepreplay: 1\n")


def near(root: Path, own: str) -> list[str]:
    found = Neighborhood(root).nearest_first(root / own)
    return [Path(each).relative_to(root).as_posix() for each in found]


def test_those_of_its_name_come_first_then_those_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path, "a/x.yaml", "b/x.yaml", "b/c/y.yaml", "b/y.yaml", "b/z.json", "bb/w.yaml", "d/e/x.yaml")
    write(tmp_path, "b/y.snapshots.yaml", "b/.hidden.yaml", "b/y.yaml.new", ".git/x.yaml", "a/notes.txt")
    expected = ["a/x.yaml", "d/e/x.yaml", "b/y.yaml", "b/z.json", "b/c/y.yaml", "bb/w.yaml"]
    assert near(tmp_path, "b/x.yaml") == expected


def test_a_place_where_nothing_is_yet_has_neighbors_too(tmp_path: Path) -> None:
    write(tmp_path, "a/x.yaml")
    assert near(tmp_path, "new/y.yaml") == ["a/x.yaml"]
    assert near(tmp_path / "nothing", "new/y.yaml") == []


def test_links_that_lead_out_are_no_neighbors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "outside/x.yaml", "in/a/y.yaml", "in/b/x.yaml")
    (tmp_path / "in/a/x.yaml").symlink_to(tmp_path / "outside/x.yaml")
    assert near(tmp_path / "in", "c/x.yaml") == ["b/x.yaml", "a/y.yaml"]
    monkeypatch.setattr(nearby, "_IN_ALL", 1)
    assert [
        Path(each).parent.name for each in Neighborhood(tmp_path / "in").same_named(tmp_path / "in/c/x.yaml")
    ] == ["b"]


def test_of_many_only_some_are_listed_and_its_name_is_found_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearby, "_IN_ONE", 20)
    monkeypatch.setattr(nearby, "_IN_ALL", 40)
    write(
        tmp_path, *(f"test_{module:02}/test_{number:02}.yaml" for module in range(15) for number in range(30))
    )
    write(tmp_path, "test_14/test_it.yaml", "test_mine/test_other.yaml")
    listed: list[int] = []
    real = disk.entries_in

    def entries_in(folder: str, most: int | None = None) -> list[object]:
        entries = real(folder, most)
        listed.append(len(entries))
        return [*entries]

    monkeypatch.setattr(disk, "entries_in", entries_in)
    own = tmp_path / "test_mine/test_it.yaml"
    neighborhood = Neighborhood(tmp_path)
    for _ in range(3):
        found = [Path(each).relative_to(tmp_path).as_posix() for each in neighborhood.nearest_first(own)]
        assert found[:2] == ["test_14/test_it.yaml", "test_mine/test_other.yaml"]
        assert len(found) == len(set(found))
    assert sum(listed) <= 60, "one more folder than fits, and its own"
