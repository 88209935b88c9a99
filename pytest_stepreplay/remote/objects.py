"""The store that a project's `stepreplay_store` names: objects by the SHA-256 of their bytes, through fsspec.

An object is never changed and never removed, so that any number of machines may write at once, and whoever has a
digest gets the very bytes or an error. No message of an error holds a password or a key.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from hashlib import sha256
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import fsspec
from fsspec.asyn import AsyncFileSystem

from ..errors import ObjectError, StoreError
from ..redaction.redactor import Redactor
from ..redaction.variables import environment_secrets
from ..texts.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_PACKAGES: Final = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az", "adl"), "adlfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
}
"""What fsspec opens the usual protocols with."""
_SECRET_OPTION: Final = re.compile(r"key|secret|token|pass|cred|sas|connection_string", re.IGNORECASE)
_SHORTEST: Final = 5
"""Characters of what is hidden wherever it stands; ``anon`` is no secret."""
_USER: Final = re.compile(r"://([^\s/@:]*:\S*@)")
_FILE: Final = "file://"


class ObjectStore:
    """A store, as far as cassettes need one: it is asked for objects, and given them.

    Attributes:
        shown: its URL, without what could be secret in it.
    """

    def __init__(self, url: str, options: Mapping[str, Any], root: Path) -> None:
        """Opens it, which sends nothing yet.

        Args:
            url: of any protocol that fsspec knows; the objects are under it.
            options: what fsspec is told besides, such as ``endpoint_url``.
            root: the folder that the path of a ``file://`` URL may begin in.

        Raises:
            StoreError: the protocol is not known, or its library is not installed.
        """
        self.shown = shown_url(url)
        self._hidden = {*_passwords_in(url), *_secrets_in(options)}
        protocol = url.partition("://")[0].rpartition("::")[2].lower()
        if url.startswith(_FILE):
            url = f"{_FILE}{(root / url.removeprefix(_FILE)).as_posix()}"
        try:
            self._system, self._folder = fsspec.url_to_fs(url, **options)
        except ImportError as error:
            package = _PACKAGES.get(protocol)
            fix = f"Install it with: pip install {package}" if package else "Install what it names"
            raise StoreError(
                f"{self.shown} needs a library that is not installed: {self._told(error)}\n{fix}"
            ) from None
        except Exception as error:  # noqa: BLE001 - whatever a protocol's library makes of the options
            known = fsspec.available_protocols()
            if protocol not in known:
                meant = did_you_mean(protocol, known)
                raise StoreError(
                    f"stepreplay_store: {protocol}:// is no protocol that fsspec knows{meant}"
                ) from None
            raise self._error("cannot be opened", error) from None

    def read(self, digest: str) -> bytes:
        """Returns the object of a digest.

        Raises:
            ObjectError: it is not there, or has other bytes.
            StoreError: the store cannot be read.
        """
        with self._errors_told("cannot be read", digest):
            content: bytes = self._system.cat_file(self._path_of(digest))
        if sha256(content).hexdigest() != digest:
            raise ObjectError("is refused: the store holds other bytes under its digest")
        return content

    def has(self, digest: str, size: int | None = None) -> bool:
        """Tells whether the object of a digest is there; one of another size is not.

        Raises:
            StoreError: the store cannot be asked.
        """
        try:
            with self._errors_told("cannot be asked", digest):
                found = self._system.info(self._path_of(digest)).get("size")
        except ObjectError:
            return False
        return size is None or found is None or found == size

    def write(self, digest: str, content: bytes) -> None:
        """Writes an object, of which nobody sees a part.

        Raises:
            StoreError: the store cannot be written.
        """
        path = self._path_of(digest)
        with self._errors_told("cannot be written"):
            if isinstance(self._system, AsyncFileSystem):  # of object stores, which show none before its end
                self._system.pipe_file(path, content)
            else:
                self._write_and_move(path, content)

    @contextmanager
    def _errors_told(self, what: str, digest: str = "") -> Iterator[None]:
        """Has any error of a library told as one of ours.

        Args:
            what: what the store does not do.
            digest: of the object that is asked for, if it need not be there.
        """
        try:
            yield
        except Exception as error:  # noqa: BLE001 - each library has its own
            if digest and isinstance(error, FileNotFoundError) and digest in str(error):  # and not its bucket
                raise ObjectError("is not in the store", is_absent=True) from None
            raise self._error(what, error) from None

    def _write_and_move(self, path: str, content: bytes) -> None:
        temporary = f"{path}.{token_hex(4)}.tmp"
        self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._system.pipe_file(temporary, content)
        try:
            self._system.mv(temporary, path)
        except Exception:  # where a file is never replaced: somebody else may have written the same
            self._system.rm_file(temporary)
            if not self._system.exists(path):
                raise

    def _path_of(self, digest: str) -> str:
        return f"{self._folder.rstrip('/')}/sha256/{digest[:2]}/{digest}"

    def _error(self, what: str, error: Exception) -> StoreError:
        return StoreError(f"{self.shown} {what}: {self._told(error)}\n{_fix_of(error)}")

    def _told(self, error: Exception) -> str:
        """Returns what a library says of an error, in one line, and without a secret."""
        text = " ".join(str(error).split()) or "it gave no reason"
        for hidden in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(hidden, "[redacted]")
        text = _USER.sub("://", Redactor(values=environment_secrets()).redact_text(text))
        return f"{type(error).__name__}: {text}"


def shown_url(url: str) -> str:
    """Returns a URL without the user, the password and the query in it."""
    return _USER.sub("://", url).partition("?")[0]


def _passwords_in(url: str) -> Iterator[str]:
    for found in _USER.finditer(url):
        user = found[1].removesuffix("@")
        yield from (each for each in (user, unquote(user.partition(":")[2])) if len(each) >= _SHORTEST)


def _secrets_in(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _secrets_in(value)
        elif isinstance(value, str) and len(value) >= _SHORTEST and _SECRET_OPTION.search(name):
            yield value


def _fix_of(error: Exception) -> str:
    if isinstance(error, PermissionError) or "credential" in str(error).lower():
        return "Give this machine credentials that may do that, as the library of the protocol finds them"
    if isinstance(error, FileNotFoundError | NotImplementedError | TypeError):
        return "Check stepreplay_store and stepreplay_store_options"
    return "Check the network, stepreplay_store and stepreplay_store_options, then run this again"
