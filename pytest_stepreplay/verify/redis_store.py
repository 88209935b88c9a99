"""A shared budget's document in Redis, under one key, which is replaced by a transaction (WATCH, MULTI, EXEC)."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from redis import asyncio as redis
from redis.exceptions import RedisError, WatchError

from ..errors import SettingsError
from .shared_budget import BudgetStoreError, Document

if TYPE_CHECKING:
    from types import TracebackType

    from redis.asyncio.client import Pipeline

KEPT_FOR: Final = 7 * 86_400
"""Seconds after its last use, for which a budget is remembered."""
PREFIX: Final = "stepreplay-budget:"
_TIMEOUT: Final = 10.0


class RedisStore:
    """One key of a Redis database, whose server's clock counts."""

    def __init__(self, url: str, where: str) -> None:
        """Reaches nothing yet.

        Args:
            url: of the form ``redis://[USER:PASSWORD@]HOST[:PORT]/DATABASE/NAME``.
            where: the same without the password.

        Raises:
            SettingsError: the URL has another form.
        """
        parts = urlsplit(url)
        database, _, name = parts.path.strip("/").partition("/")
        try:
            is_right = bool(parts.hostname and name and database.isdecimal()) and parts.port != 0
        except ValueError:
            is_right = False
        if not is_right:
            raise SettingsError(f"--budget {where!r:.200} is not redis://HOST:PORT/DATABASE/NAME")
        self._url = urlunsplit(parts._replace(path=f"/{database}"))
        self._key = PREFIX + unquote(name)
        self._where = where

    async def __aenter__(self) -> Self:
        try:
            self._client = redis.Redis.from_url(
                self._url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT
            )
        except (ValueError, RedisError) as error:
            raise self._error(error) from None
        self._transaction: Pipeline = self._client.pipeline()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(RedisError, OSError):
            await self._transaction.aclose()
            await self._client.aclose()

    async def read(self) -> Document:
        """Returns the document."""
        try:
            await self._transaction.reset()  # type: ignore[no-untyped-call]  # redis types it in part
            await self._transaction.watch(self._key)
            content = await self._transaction.get(self._key)
            seconds, microseconds = await self._transaction.time()
        except (RedisError, OSError) as error:
            raise self._error(error) from None
        held = content.encode() if isinstance(content, str) else content or b""
        return Document(held, None, seconds + microseconds / 1e6)

    async def replace(self, document: Document, content: bytes) -> bool:  # noqa: ARG002 - the key is watched
        """Replaces the document, unless somebody else has since it was read."""
        try:
            self._transaction.multi()  # type: ignore[no-untyped-call]  # as above
            self._transaction.set(self._key, content, ex=KEPT_FOR)
            await self._transaction.execute()
        except WatchError:
            return False
        except (RedisError, OSError) as error:
            raise self._error(error) from None
        return True

    def _error(self, error: Exception) -> BudgetStoreError:
        password = urlsplit(self._url).password or ""
        told = str(error).replace(password, "***") if password else str(error)
        return BudgetStoreError(f"--budget: {self._where} cannot be used: {told or type(error).__name__}")
