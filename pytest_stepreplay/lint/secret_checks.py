"""Secrets in a file that exists: found in its bytes as the scan finds them, and replaced where that is safe.

A file's bytes and tree go in; problems come out, or the bytes or the tree with `PLACEHOLDER` for the secrets. A
private key goes as one, from BEGIN to END, however the file breaks its lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..redaction.secret_rules import PRIVATE_KEY, private_keys_in
from ..redaction.shapes import PLACEHOLDER, without_keys_in_lines
from .problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..redaction.wall import Wall

_ENCODED = ("in base64", "URL-encoded", "escaped")
_FIX = "revoke it, and replace it here"
_RECORD = "revoke it, delete the file, and record the test again without it"
_LOOK = "too long to be replaced unseen: look at it, and record the test again without it, or allow its place"
NOT_FIXED = (
    "--fix could not replace it safely: revoke it, delete the file, and record the test again without it"
)
"""The advice where a repair was tried."""

_LONGEST_REPLACED = 4096
"""Characters. What is longer may be anything, such as a picture that holds what looks like the start of a key."""


def check_secrets(content: bytes, tree: Any, wall: Wall) -> list[Problem]:
    """Returns a problem for each secret in a file.

    Args:
        content: its bytes.
        tree: what they stand for; None where they cannot be read.
        wall: what is secret, and where it is allowed.
    """
    found = []
    for each in wall.findings(content, tree):
        # Base64 with a hole in it decodes to something else.
        replaceable = tree is not None and not each.what.endswith(_ENCODED)
        fix = _FIX if replaceable else _RECORD
        if replaceable and each.what != PRIVATE_KEY and len(each.secret) > _LONGEST_REPLACED:
            replaceable, fix = False, _LOOK
        secret = each.secret if replaceable else ""
        found.append(Problem("secret", each.place, f"holds {each.what}", fix, each.line, secret))
    return found


def replaced_in_text(content: bytes, secrets: Iterable[str], placeholder: str = PLACEHOLDER) -> bytes:
    """Returns the bytes of a file with the placeholder for each secret that stands in them as it is."""
    content = _without_private_keys(content, placeholder)
    for secret in sorted(set(secrets), key=len, reverse=True):
        content = content.replace(secret.encode(), placeholder.encode())
    return content


def _without_private_keys(content: bytes, placeholder: str) -> bytes:
    for key in reversed(private_keys_in(content)):
        content = content[: key.start] + placeholder.encode() + content[key.end :]
    return content


def replaced_in_tree(tree: Any, secrets: Iterable[str], placeholder: str = PLACEHOLDER) -> Any:
    """Returns a tree with the placeholder for each secret in its texts and keys. Without recursion."""
    ordered = sorted(set(secrets), key=len, reverse=True)

    def replaced(value: Any) -> Any:
        if isinstance(value, str):
            data = value.encode("utf-8", "surrogatepass")
            return replaced_in_text(data, ordered, placeholder).decode("utf-8", "surrogatepass")
        return replaced_in_text(value, ordered, placeholder) if isinstance(value, bytes) else value

    root = [tree]
    todo: list[tuple[Any, Any]] = [(root, 0)]
    while todo:
        parent, at = todo.pop()
        node = parent[at]
        if isinstance(node, dict):
            parent[at] = copied = {replaced(key): value for key, value in node.items()}
            todo.extend((copied, key) for key in copied)
        elif isinstance(node, list):
            parent[at] = items = list(without_keys_in_lines(node, placeholder))
            todo.extend((items, i) for i in range(len(items)))
        else:
            parent[at] = replaced(node)
    return root[0]
