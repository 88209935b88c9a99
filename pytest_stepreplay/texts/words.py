"""Two texts, word by word: ``Say [-hello-]{+goodbye+}.``, and how similar they are.

Words are words, each Chinese, Japanese, Korean or Thai character is one of its own, and so are white space
and punctuation. The cost is bounded for texts of any length. What comes out is not yet safe to print.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from .alignment import MAX_EDITS, common_items

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .alignment import Pairs

# Scripts that are written without spaces: Thai to Tibetan and Burmese, Khmer, kana, Han, Hangul, and the
# planes of Han.
_UNSPACED = (
    "\u0e00-\u109f\u1780-\u17ff\u2e80-\u9fff\ua000-\ua4cf\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|\s+|.", re.DOTALL)
_SENTENCE = re.compile(
    r"[^.!?\n\u3002\uff01\uff1f]+[.!?\n\u3002\uff01\uff1f]*\s*|[.!?\n\u3002\uff01\uff1f]+\s*"
)

DEFAULT_WIDTH: Final = 240
_CONTEXT = 24
_CHANGED = 60
_ELLIPSIS = "…"


class _WordPiece(NamedTuple):
    """A stretch of both texts: the same on both sides, or replaced."""

    old: str
    new: str
    same: bool = False


def diff_words(old: str, new: str, *, width: int = DEFAULT_WIDTH, max_edits: int = MAX_EDITS) -> str:
    """Returns both texts in one: ``[-what went-]``, ``{+what came+}`` and what stayed.

    Args:
        old: a text.
        new: another text.
        width: the most characters to return, 40 at least. Beyond it ``…`` stands for what is left out: first
            what stayed far from any change, then the middle of long changes, then the last changes.
        max_edits: how many words may come and go before the texts are compared by sentences: what a person
            reads costs no more than they can read.
    """
    pieces = _pieces(old, new, max_edits)
    whole = "".join(map(_marked, pieces))
    limit = max(width, 40)
    if len(whole) <= limit:
        return whole
    # One change alone may fill the line.
    alone = sum(not piece.same for piece in pieces) == 1
    room = max(_CHANGED, (limit - 2 * _CONTEXT) // 2 - 8) if alone else _CHANGED
    shown = ""
    for i, piece in enumerate(pieces):
        if piece.same:
            text = _context(piece.old, first=i == 0, last=i == len(pieces) - 1)
        else:
            text = _marked(_WordPiece(_middle(piece.old, room), _middle(piece.new, room)))
        if len(shown) + len(text) > limit - len(_ELLIPSIS):
            return shown + text[: limit - len(shown) - 1] + _ELLIPSIS
        shown += text
    return shown


def stretches_of(old: str, new: str) -> list[tuple[Literal["", "removed", "added"], str]]:
    """Returns both texts in one, stretch by stretch, each with what became of it."""
    found: list[tuple[Literal["", "removed", "added"], str]] = []
    for piece in _pieces(old, new):
        if piece.same:
            found.append(("", piece.old))
        else:
            found += [("removed", piece.old)] if piece.old else []
            found += [("added", piece.new)] if piece.new else []
    return found


def changed_words(old: str, new: str) -> list[str]:
    """Returns what went and what came, place by place, without what stayed: ``[-hello-]{+goodbye+}``."""
    return [_marked(piece) for piece in _pieces(old, new) if not piece.same]


def similarity(old: str, new: str) -> float:
    """Returns the share of the two texts that is common to both, in the same order: 1.0 for equal texts.

    Common words count by their length. Where texts are too long and too different to be aligned, the words
    they share count in any order.
    """
    if old == new:
        return 1.0
    common = sum(2 * len(piece.old) if piece.same else _shared(piece) for piece in _pieces(old, new))
    return common / (len(old) + len(new))


def _shared(piece: _WordPiece) -> float:
    """Returns how many characters of a long replaced stretch are common, by the words in it."""
    if min(len(piece.old), len(piece.new)) < _ROUGH:
        return 0.0
    words = [Counter(word for word in _WORD.findall(text) if not word.isspace()) for text in piece[:2]]
    counts = (*words, words[0] & words[1])
    old, new, both = (sum(len(word) * n for word, n in count.items()) for count in counts)
    return (len(piece.old) + len(piece.new)) * 2 * both / (old + new) if both else 0.0


_ROUGH = 4000
"""A replaced stretch longer than this, on both sides, was not compared word by word."""


def _pieces(old: str, new: str, max_edits: int = MAX_EDITS) -> list[_WordPiece]:
    if min(len(old), len(new)) < _ROUGH:
        return _joined(_aligned(old, new, max_edits))
    # Most long texts differ in few places; what they share at both ends need not be taken apart.
    start, middle, end = _trimmed(old, new, at_space=True)
    return _joined([start, *_aligned(middle.old, middle.new, max_edits), end])


def _aligned(old: str, new: str, max_edits: int) -> Iterator[_WordPiece]:
    """Yields stretches by words, or, where that is too dear, by sentences and then by words between them."""
    words = _WORD.findall(old), _WORD.findall(new)
    pairs = common_items(*words, max_edits)
    if pairs is not None:
        yield from _stretches(*words, pairs)
        return
    sentences = _SENTENCE.findall(old), _SENTENCE.findall(new)
    pairs = common_items(*sentences, max_edits)
    for piece in _stretches(*sentences, pairs) if pairs else _trimmed(old, new):
        small = not piece.same and max(len(piece.old), len(piece.new)) < _ROUGH
        inner = (_WORD.findall(piece.old), _WORD.findall(piece.new)) if small else None
        inner_pairs = common_items(*inner, min(200, max_edits)) if inner else None
        if inner and inner_pairs is not None:
            yield from _stretches(*inner, inner_pairs)
        else:
            yield piece


def _stretches(old: Sequence[str], new: Sequence[str], pairs: Pairs) -> Iterator[_WordPiece]:
    """Yields what lies between the pairs, and the pairs themselves, each run of them as one."""
    at_old = at_new = run = 0
    for i, j in [*pairs, (len(old), len(new))]:
        if i > at_old or j > at_new or i == len(old):
            if run < at_old:
                yield _WordPiece("".join(old[run:at_old]), "".join(old[run:at_old]), same=True)
            if i > at_old or j > at_new:
                yield _WordPiece("".join(old[at_old:i]), "".join(new[at_new:j]))
            run = i
        at_old, at_new = i + 1, j + 1


def _trimmed(old: str, new: str, *, at_space: bool = False) -> tuple[_WordPiece, _WordPiece, _WordPiece]:
    """Returns what both texts start with, what differs, and what both end with; cut at spaces if asked to."""
    head = _equal_at_start(old, new)
    if at_space:
        head = old.rfind(" ", 0, head) + 1
    tail = _equal_at_start(old[head:][::-1], new[head:][::-1])
    if at_space and tail:
        space = old.find(" ", len(old) - tail)
        tail = len(old) - space if space >= 0 else 0
    end = old[len(old) - tail :]
    middle = _WordPiece(old[head : len(old) - tail], new[head : len(new) - tail])
    return _WordPiece(old[:head], old[:head], same=True), middle, _WordPiece(end, end, same=True)


def _equal_at_start(old: str, new: str) -> int:
    equal, least_different = 0, min(len(old), len(new)) + 1
    while least_different - equal > 1:
        middle = (equal + least_different) // 2
        if old[equal:middle] == new[equal:middle]:
            equal = middle
        else:
            least_different = middle
    return equal


def _joined(pieces: Iterable[_WordPiece]) -> list[_WordPiece]:
    """Returns the pieces with neighbours of one sort joined, and white space between two changes too."""
    groups: list[tuple[bool, list[str], list[str]]] = []
    for piece in pieces:
        if not piece.old and not piece.new:
            continue
        if not piece.same and len(groups) > 1 and groups[-1][0] and "".join(groups[-1][1]).isspace():
            _, space, _ = groups.pop()
            groups[-1][1].extend(space)
            groups[-1][2].extend(space)
        if not groups or groups[-1][0] is not piece.same:
            groups.append((piece.same, [], []))
        groups[-1][1].append(piece.old)
        groups[-1][2].append(piece.new)
    return [_WordPiece("".join(old), "".join(new), same) for same, old, new in groups]


def _marked(piece: _WordPiece) -> str:
    if piece.same:
        return piece.old
    removed = f"[-{piece.old}-]" if piece.old else ""
    added = f"{{+{piece.new}+}}" if piece.new else ""
    return removed + added


def _context(text: str, *, first: bool, last: bool) -> str:
    """Returns the ends of an unchanged stretch that touch a change."""
    if len(text) <= (1 if first or last else 2) * _CONTEXT:
        return text
    before = "" if first else text[:_CONTEXT]
    after = "" if last else text[-_CONTEXT:]
    return before + _ELLIPSIS + after


def _middle(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    half = (room - 1) // 2
    return text[:half] + _ELLIPSIS + text[-half:]
