"""Where a shared budget can be: the URL of a store goes in, and the store comes out.

`STORES` is the table of them: by the scheme of the URL, the module, and the library that it needs with its extra.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from ..errors import SettingsError
from . import object_store, redis_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from .shared_budget import Store


class BudgetPlace(NamedTuple):
    """A kind of store.

    Attributes:
        library: that it needs.
        extra: that brings the library.
        make: returns the store at a URL, which is told without its password too.
    """

    library: str
    extra: str
    make: Callable[[str, str], Store]


def _in_redis(url: str, where: str) -> Store:
    return redis_store.RedisStore(url, where)


def _in_a_bucket(url: str, where: str) -> Store:
    return object_store.BucketStore(url, where)


_REDIS: Final = BudgetPlace("redis", "redis", _in_redis)
_OBJECTS: Final = BudgetPlace("obstore", "budget", _in_a_bucket)
STORES: Final = {"redis": _REDIS, "rediss": _REDIS, "s3": _OBJECTS, "gs": _OBJECTS, "az": _OBJECTS}


def store_at(url: str) -> tuple[Store, str]:
    """Returns the store that a URL names, and where that is, in words without a password.

    Raises:
        SettingsError: there is no such store, or the library that it needs is not installed.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise SettingsError(f"--budget: {url.rpartition('@')[2]!r:.200} is no URL") from None
    where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    kind = STORES.get(parts.scheme)
    if kind is None:
        *others, last = (f"{scheme}://" for scheme in STORES)
        raise SettingsError(
            f"--budget: no budget can be shared in {where!r:.200}. It can in {', '.join(others)} and {last}, "
            "whose stores replace what they hold only if nobody else has"
        )
    if find_spec(kind.library) is None:
        raise SettingsError(
            f"--budget {parts.scheme}:// needs {kind.library}, which is not installed.\n"
            f"Install it with: pip install 'pytest-stepreplay[{kind.extra}]'"
        )
    return kind.make(url, where), where
