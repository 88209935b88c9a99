"""Which items of two sequences belong together.

Two sequences go in, pairs of positions come out. The cost is bounded whatever the sequences hold: the
shortest edit script (Myers, 1986, "An O(ND) difference algorithm") is looked for within a budget, never
beyond it.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Hashable
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

Pairs = list[tuple[int, int]]
Aligned = list[tuple[int | None, int | None]]

MAX_EDITS: Final = 1200
MAX_STEPS: Final = 2_000_000


def common_items(
    old: Sequence[Hashable], new: Sequence[Hashable], max_edits: int = MAX_EDITS
) -> Pairs | None:
    """Returns the positions of a longest common subsequence.

    Args:
        old: items that compare with ``==``.
        new: the same.
        max_edits: how many items may be inserted and deleted in all.

    Returns:
        Pairs of positions, rising on both sides; None if that takes more than `max_edits` edits, or is too
        dear.
    """
    head = 0
    shorter = min(len(old), len(new))
    while head < shorter and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    middle = _shortest_edit(old[head : len(old) - tail], new[head : len(new) - tail], max_edits)
    if middle is None:
        return None
    pairs = [(i, i) for i in range(head)]
    pairs += [(head + i, head + j) for i, j in middle]
    pairs += [(len(old) - i, len(new) - i) for i in range(tail, 0, -1)]
    return pairs


def _shortest_edit(old: Sequence[Hashable], new: Sequence[Hashable], max_edits: int) -> Pairs | None:
    n, m = len(old), len(new)
    if not n or not m:
        return []
    limit = min(n + m, max_edits)
    # reach[k] is how far into `old` the diagonal k has come: the position in old less the position in new.
    # A negative k counts from the end of the list, which is long enough for both.
    reach = [-1] * (2 * limit + 3)
    reach[1] = 0
    rounds: list[array[int]] = []
    steps = 0
    for edits in range(limit + 1):
        entries = array("q", bytes(8 * (edits + 1)))
        rounds.append(entries)
        for k in range(-min(edits, 2 * m - edits), min(edits, 2 * n - edits) + 1, 2):
            inserted = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
            i = start = reach[k + 1] if inserted else reach[k - 1] + 1
            entries[(k + edits) // 2] = 2 * start + inserted
            while i < n and i - k < m and old[i] == new[i - k]:
                i += 1
            reach[k] = i
            steps += i - start + 1
            if i >= n and i - k >= m:
                return _traced(rounds, i, i - k)
        if steps > MAX_STEPS:
            break
    return None


def _traced(rounds: list[array[int]], i: int, j: int) -> Pairs:
    """Returns the pairs on the way to position i in old and j in new.

    Args:
        rounds: where each round entered its diagonals, and whether by an insertion.
        i: a position in old.
        j: a position in new.
    """
    pairs: Pairs = []
    for edits in range(len(rounds) - 1, -1, -1):
        start, inserted = divmod(rounds[edits][(i - j + edits) // 2], 2)
        while i > start:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        i, j = (i, j - 1) if inserted else (i - 1, j)
    pairs.reverse()
    return pairs


def align(old: Sequence[T], new: Sequence[T], key: Callable[[T], Hashable]) -> Aligned:
    """Returns every position of both sequences once, those that belong together in one pair, in their order.

    Equal items are paired, and what is left between them by its place. Where pairing all by place leaves no
    more differences, that is done.

    Args:
        old: items.
        new: items.
        key: what makes two items equal.
    """
    old_keys, new_keys = list(map(key, old)), list(map(key, new))
    anchors = common_items(old_keys, new_keys) or []
    if len(old) == len(new):
        moved = sum(one != other for one, other in zip(old_keys, new_keys, strict=True))
        if moved <= 2 * (len(old) - len(anchors)):
            return [(i, i) for i in range(len(old))]
    aligned: Aligned = []
    at_old = at_new = 0
    for i, j in [*anchors, (len(old), len(new))]:
        aligned += zip_longest(range(at_old, i), range(at_new, j))
        aligned.append((i, j))
        at_old, at_new = i + 1, j + 1
    return aligned[:-1]


def match(old: Sequence[T], new: Sequence[T], keys: Sequence[Callable[[T], Hashable]]) -> Aligned:
    """Returns every position of both sequences once, those that belong together in one pair.

    Wherever they stand, items are paired by the first key, in their order; what that leaves by the next key,
    and what no key pairs in its order.

    Args:
        old: items.
        new: items.
        keys: from the strictest to the loosest.
    """
    old_left, new_left = list(range(len(old))), list(range(len(new)))
    partners: dict[int, int] = {}
    for key in keys:
        waiting = defaultdict[Hashable, list[int]](list)
        for i in reversed(old_left):
            waiting[key(old[i])].append(i)
        partners |= {j: candidates.pop() for j in new_left if (candidates := waiting.get(key(new[j])))}
        taken = set(partners.values())
        old_left = [i for i in old_left if i not in taken]
        new_left = [j for j in new_left if j not in partners]
    partners |= zip(new_left, old_left, strict=False)
    aligned: Aligned = [(partners.get(j), j) for j in range(len(new))]
    return aligned + [(i, None) for i in old_left[len(new_left) :]]
