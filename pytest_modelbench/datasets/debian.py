"""Debian: real data that packages of Debian ship, read where they are installed or unpacked; named in PARTS.

`?root=FOLDER` says where a package was unpacked, on a machine where one cannot install it or that is no Debian:
`apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb FOLDER`.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..cache import content_digest
from ..errors import Unavailable
from . import formats, sounds
from .table import Part, Table

if TYPE_CHECKING:
    from ..source import Source

#: The lexicographer's files of nouns, from number 3 on (WordNet's manual page lexnames(5WN)).
NOUNS = """
Tops act animal artifact attribute body cognition communication event feeling food group location motive object person
phenomenon plant possession process quantity relation shape state substance time
""".split()  # noqa: SIM905  twenty-six quoted words would read worse


def _glosses(source: Source) -> Table:
    """WordNet's definitions of nouns, and the kind of thing each defines, one of 26 (food, person, ...).

    A gloss ends where its examples, in quotes, begin.
    """
    file = _file("wordnet-base", "usr/share/wordnet/data.noun", source)
    glosses, kinds = [], []
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):  # the licence
            continue
        facts, _, gloss = line.partition(" | ")
        glosses.append(re.split(r'; "', gloss)[0].strip())
        kinds.append(NOUNS[int(facts.split()[1]) - 3])
    return Table({"gloss": glosses, "kind": kinds}, content_digest([file]), "gloss", "kind")


def _constitution(source: Source) -> Table:
    """The Constitution of the United States, whole; `sample_by=paragraph` or `line` cuts it."""
    file = _file("miscfiles", "usr/share/state/us-constitution.gz", source)
    text = gzip.decompress(file.read_bytes()).decode("utf-8")
    return Table({"text": formats.samples(text, source, "document")}, content_digest([file]), "text")


def _librivox(source: Source) -> Table:
    """Five sentences of *Sense and Sensibility*, read aloud (LibriVox, 16,000 samples a second), and their words."""
    folder = _file("pocketsphinx-testdata", "usr/share/pocketsphinx/test/data/librivox/transcription", source).parent
    said = re.findall(r"<s> (.*?) </s> \((.*?)\)", (folder / "transcription").read_text(encoding="utf-8"))
    files = [folder / f"{name}.wav" for _, name in said]
    return Table(
        {"audio": list(map(sounds.reader(source), files)), "transcription": [words for words, _ in said]},
        content_digest([*files, folder / "transcription"]),
        "audio",
        "transcription",
    )


def _file(package: str, place: str, source: Source) -> Path:
    """A file of a package. Raises Unavailable with the line that installs it."""
    file = Path(source.options.get("root", "/")).expanduser() / place
    if not file.is_file():
        raise Unavailable(
            f"dataset {source.text!r} needs the Debian package {package}, and {file} is not there: apt install "
            f"{package}, or unpack it in a folder and add ?root=FOLDER"
        )
    return file


#: What can be asked of a Debian package.
PARTS: dict[str, Part] = {
    "miscfiles#us-constitution": Part(_constitution, ("root", "sample_by")),
    "pocketsphinx-testdata#librivox": Part(_librivox, ("root", "sampling_rate")),
    "wordnet-base#glosses": Part(_glosses, ("root",)),
}
