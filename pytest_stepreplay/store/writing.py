"""A `Cassette`, or another tree -> the text of its file, scanned for secrets and then written in one step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..errors import CassetteWriteError
from . import body_files, yaml_text
from .files import write_bytes
from .locks import locked
from .schema import tree_of
from .secrets import refuse_secrets

if TYPE_CHECKING:
    from pathlib import Path

    from ..models import Cassette
    from ..wire.trees import Tree


def write_cassette(path: Path, cassette: Cassette) -> None:
    """Write a cassette, in one step; if the file would not change, it is not touched.

    Args:
        path: the file; its folders are made. A name that ends with ``.json`` is written as JSON.
        cassette: what it shall hold. What is too large for it is written beside it first.

    Raises:
        CassetteWriteError: it could not be written. What stood there before still stands.
    """
    content = encode_tree(tree_of(cassette), path)
    with locked(path):
        body_files.write_files(cassette.interactions, path)
        write_bytes(path, content)


def encode_tree(tree: dict[str, Tree], path: Path) -> bytes:
    """Return the content of a file that holds the tree.

    Args:
        tree: of whatever schema.
        path: the file. A name that ends with ``.json`` gets JSON.

    Raises:
        CassetteWriteError: it holds what such a file cannot, or what looks like a secret.
    """
    try:
        if path.suffix.lower() == ".json":
            text = json.dumps(tree, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
        else:
            text = yaml_text.render_yaml(tree)
        content = text.encode()
    except UnicodeEncodeError:
        raise CassetteWriteError(path, "was not written: it would hold half of a surrogate pair") from None
    except RecursionError:
        raise CassetteWriteError(path, "was not written: it would be nested too deeply") from None
    except ValueError as error:
        raise CassetteWriteError(path, f"was not written: {error}") from None
    refuse_secrets(path, content, tree)
    return content


def render_cassette(cassette: Cassette) -> str:
    """Return the text of a cassette's file: the same text for the same cassette, ending with one newline.

    Raises:
        ValueError: a body holds what JSON cannot.
    """
    return yaml_text.render_yaml(tree_of(cassette))
