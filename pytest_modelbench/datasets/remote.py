"""Remote: a file behind a URL (s3, gs, http, https, memory), read once through fsspec with its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..cache import file_digest, key, made_once
from ..declare import check_requirements
from ..errors import Unavailable, UsageError
from . import formats, lazy
from .table import Table, streams

if TYPE_CHECKING:
    from ..source import Source

#: What fsspec needs beside itself, by kind.
NEEDS = {"s3": ("s3fs",), "gs": ("gcsfs",), "http": ("aiohttp",), "https": ("aiohttp",), "memory": ()}
#: What their clients raise that is no OSError.
_ERRORS = {
    "s3": ("botocore.exceptions:BotoCoreError", "botocore.exceptions:ClientError"),
    "gs": ("google.auth.exceptions:GoogleAuthError", "gcsfs.retry:HttpError"),
    "http": ("aiohttp:ClientError",),
    "https": ("aiohttp:ClientError",),
    "memory": (),
}


def read(source: Source) -> Table:
    """The columns of a remote file, with the digest of its bytes as revision.

    Who may read it is fsspec's to know: its configuration files, or the variables of the cloud (AWS_ACCESS_KEY_ID,
    AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS). Raises UsageError for a file that is not there or cannot be
    read, Unavailable where its server cannot be reached or asks for other credentials.
    """
    check_requirements(f"dataset {source.text!r}", ("fsspec", *NEEDS[source.kind]))
    if source.part:
        raise UsageError(f"dataset {source.text!r}: a file has no parts; leave #{source.part} out")
    name = source.place.rsplit("/", 1)[-1]
    formats.ending_of(name, source)  # before anything is fetched
    if streams(source):
        with _said(source):
            copy = _copied(source.place, name)
        return lazy.read(copy, f"sha256:{file_digest(copy)}", source)
    import fsspec

    with _said(source), fsspec.open(source.place, "rb") as file:
        content = file.read()
    return formats.read(BytesIO(content), name, f"sha256:{sha256(content).hexdigest()}", source)


def _copied(url: str, name: str) -> Path:
    """A copy of the file in the cache, for who streams it; one that changed over there is another."""
    from fsspec.core import url_to_fs

    files, path = url_to_fs(url)
    folder = made_once("data", key(url, files.ukey(path)), lambda place: files.get_file(path, str(place / name)))
    return folder / name


@contextmanager
def _said(source: Source) -> Iterator[None]:
    """What a client raises as one line, with what to do."""
    try:
        yield
    except FileNotFoundError as error:
        if isinstance(error.__cause__, OSError):  # fsspec says so too of a site that does not answer
            raise _unreadable(source, error.__cause__) from error
        raise UsageError(f"dataset {source.text!r} is not there: {source.kind} knows no such file") from None
    except _errors(source.kind) as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Source, error: BaseException) -> Unavailable:
    why = next(iter(str(error).splitlines()), "") or type(error).__name__
    return Unavailable(
        f"dataset {source.text!r} cannot be read ({type(error).__name__}: {why}): see that its server is reached "
        "from here and that fsspec finds credentials, or use a copy on this machine"
    )


def _errors(kind: str) -> tuple[type[Exception], ...]:
    places = (place.split(":") for place in _ERRORS[kind])
    return (OSError, *(getattr(import_module(module), name) for module, name in places))


def options_of(source: Source) -> tuple[str, ...]:
    """What a remote source takes beside what all take."""
    return formats.options_of(source.place)
