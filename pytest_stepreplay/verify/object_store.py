"""A shared budget's document as an object of S3, Google Cloud Storage or Azure, which is replaced on a condition.

The condition is that the object is still the one that was read (If-Match, with its ETag), or is still missing
(If-None-Match). Some servers that speak S3 pass over conditions, so that is tried before anything is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import from_url

from ..errors import SettingsError
from ..machine import clock
from .shared_budget import BudgetStoreError, Document

if TYPE_CHECKING:
    from types import TracebackType

    from obstore import PutMode

_NO_MATCH: Final = '"00000000000000000000000000000000"'


class BucketStore:
    """One object of a bucket. Its machine's clock counts, but never goes behind the time of the last change."""

    def __init__(self, url: str, where: str) -> None:
        """Reaches nothing yet; credentials come from where the cloud's own tools find them in the environment.

        Args:
            url: of the object, such as ``s3://bucket/budgets/nightly``.
            where: the same without a password.

        Raises:
            SettingsError: the URL has another form.
        """
        place, _, self._name = url.rstrip("/").rpartition("/")
        if place.endswith(("/", ":")):
            raise SettingsError(f"--budget {where!r:.200} names no object, as s3://BUCKET/NAME does")
        self._where = where
        try:
            self._store = from_url(place)
        except (BaseError, ValueError) as error:
            raise self._error(error) from None

    async def __aenter__(self) -> Self:
        probe = f"{self._name}.probe"
        try:
            await self._put(probe, b"stepreplay", "create")
            takes_conditions = not await self._put(probe, b"stepreplay", "create")
            takes_conditions = takes_conditions and not await self._put(probe, b"", {"e_tag": _NO_MATCH})
        except NotImplementedError:
            takes_conditions = False
        if not takes_conditions:
            raise BudgetStoreError(
                f"--budget: the store of {self._where} replaces objects without a condition, and so no budget can be "
                "shared there"
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def read(self) -> Document:
        """Returns the document."""
        now = clock.now().timestamp()
        try:
            found = await obstore.get_async(self._store, self._name)
            content = bytes(await found.bytes_async())
        except FileNotFoundError:
            return Document(b"", "create", now)
        except (BaseError, OSError) as error:
            raise self._error(error) from None
        tag = found.meta["e_tag"]
        if not tag:
            raise BudgetStoreError(f"--budget: the store of {self._where} gives objects no ETag")
        version = found.meta["version"]
        condition = {"e_tag": tag, "version": version} if version else {"e_tag": tag}
        return Document(content, condition, max(now, found.meta["last_modified"].timestamp()))

    async def replace(self, document: Document, content: bytes) -> bool:
        """Replaces the document, unless somebody else has since it was read."""
        return await self._put(self._name, content, document.version)

    async def _put(self, name: str, content: bytes, condition: PutMode) -> bool:
        try:
            await obstore.put_async(self._store, name, content, mode=condition)
        except (AlreadyExistsError, PreconditionError):
            return False
        except (BaseError, OSError) as error:
            raise self._error(error) from None
        return True

    def _error(self, error: Exception) -> BudgetStoreError:
        told = str(error).partition("\n")[0]
        return BudgetStoreError(f"--budget: {self._where} cannot be used: {told}")
