"""Where pytest-recording and pytest-vcr keep a test's cassettes, and by which names.

A test that is marked for one of them goes in, and the path of its cassette comes out, or of those that lend to it.
"""

from __future__ import annotations

import os
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..errors import SettingsError
from ..machine import disk

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pytest

_LONGEST_NAME: Final = 255
_SPECIAL: Final = r"<>?%*:|\"'/\\"  # the very characters that pytest-recording replaces


def folder_beside(node: Any) -> Path:
    """Returns where pytest-recording keeps the cassettes of a test's module."""
    path: Path = node.path
    return path.parent / "cassettes" / path.stem


def cassette_name_of(item: Any) -> str:
    """Returns the name of a test's cassette, as pytest-recording makes it."""
    name = f"{item.cls.__name__}.{item.name}" if item.cls else str(item.name)
    return name.translate(dict.fromkeys(map(ord, _SPECIAL), "-"))


def cassette_path_of(item: pytest.Item, places: Mapping[str, Any], folder: Path, name: str) -> Path:
    """Returns the cassette of a test.

    Args:
        item: the test.
        places: what the `vcr_config` says of where cassettes are.
        folder: of the module's cassettes.
        name: of the cassette.
    """
    serializer = places.get("serializer", "yaml")
    suffix = f".{serializer}"
    if len(name) + len(serializer) + 1 > _LONGEST_NAME:  # as pytest-recording shortens it
        digest = md5(name.encode(), usedforsecurity=False).hexdigest()
        name = f"{name[: _LONGEST_NAME - len(suffix) - len(digest) - 3]}...{digest}"
    folder = Path(
        disk.absolute(item.config.invocation_params.dir / places.get("cassette_library_dir", folder))
    )
    if "path_transformer" in places:
        return Path(places["path_transformer"](str(folder / name)))
    return existing_cassette(folder, name, suffix, item)


def existing_cassette(folder: Path, name: str, suffix: str, item: Any) -> Path:
    """Returns where a cassette is: by pytest-recording's rule, else by pytest-vcr's; by the first if nowhere."""
    plain = f"{item.cls.__name__}.{item.name}" if item.cls else str(item.name)
    path = folder / _with_suffix(name, suffix)
    candidates = [path]
    if name == cassette_name_of(item):
        candidates.append(folder / f"{plain}{suffix}")
    if folder == folder_beside(item):
        candidates.append(
            folder.parent / _with_suffix(plain if name == cassette_name_of(item) else name, suffix)
        )
    return next((each for each in candidates if disk.exists(each)), path)


def _with_suffix(name: str, suffix: str) -> str:
    return name if name.endswith(suffix) else name + suffix


def lenders_of(markers: Sequence[pytest.Mark], folder: Path) -> Iterator[Path]:
    """Yields the further cassettes that the markers name; they are read, and never written."""
    for marker in markers:
        for name in marker.args:
            if not isinstance(name, str | os.PathLike):
                raise SettingsError(f"@pytest.mark.vcr({name!r}): the name of a cassette must be a string")
            yield folder / name
