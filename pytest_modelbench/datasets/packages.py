"""Packages: real data that an installed Python package ships; a function a part, named in PARTS."""

from __future__ import annotations

import re
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..declare import check_requirements
from ..errors import UsageError
from . import media
from .table import Encoded, Part, Table

if TYPE_CHECKING:
    from ..source import Source


def _capitals(source: Source) -> Table:
    """Questions for the capitals of countries, the most populous country first.

    Of two entries with one ISO code (Myanmar and Burma) the first is kept; a country without a code or a capital is
    not asked for. Population is the package's figure; the order of equal or missing ones is that of their names.
    """
    check_requirements(f"dataset {source.text!r}", ("countryinfo",))
    import countryinfo

    countries: dict[str, dict[str, Any]] = {}
    for country in countryinfo.all_countries():
        facts = country.info()
        code = (facts.get("ISO") or {}).get("alpha2")
        if code and facts.get("capital"):
            countries.setdefault(code, facts)
    rows = sorted(countries.values(), key=lambda facts: (-(facts.get("population") or 0), facts["name"]))
    return Table(
        {
            "prompt": [
                f"What is the capital of {facts['name']}? Answer with the name of the city alone." for facts in rows
            ],
            "capital": [facts["capital"] for facts in rows],
            "country": [facts["name"] for facts in rows],
        },
        revision=version("countryinfo"),
        inputs="prompt",
        references="capital",
    )


def _digits(source: Source) -> Table:
    """1,797 handwritten digits of scikit-learn: arrays (8, 8) of whole numbers 0 to 16, and which digit each is."""
    check_requirements(f"dataset {source.text!r}", ("sklearn",))
    from sklearn.datasets import load_digits

    found = load_digits()
    return Table(
        {"image": list(found.images.astype("uint8")), "digit": found.target.tolist()},
        revision=version("scikit-learn"),
        inputs="image",
        references="digit",
    )


#: Photos of scikit-image whose subject ImageNet has: the classes of ImageNet-1k that are right for each.
_PHOTOS = {
    "chelsea.png": (281, 282, 285),  # tabby, tiger cat, Egyptian cat
    "coffee.png": (504, 967, 968),  # coffee mug, espresso, cup
    "rocket.jpg": (657, 744, 812),  # missile, projectile, space shuttle
}


def _photos(source: Source) -> Table:
    """Three photos of scikit-image and the numbers of the ImageNet-1k classes that are right for each."""
    folder = _folder("skimage", source) / "data"
    read = partial(Encoded, decode=media.picture)
    return Table(
        {"image": [read(folder / name) for name in _PHOTOS], "classes": [list(right) for right in _PHOTOS.values()]},
        revision=version("scikit-image"),
        inputs="image",
        references="classes",
    )


_CHOICE = re.compile(r"\(([A-E])\)\s*(.*?)\s*(?=\([A-E]\)|$)", re.DOTALL)


def _mmlu(source: Source) -> Table:
    """MMLU's development questions, five a subject but for three left out, which lm-evaluation-harness ships.

    `prompt` is the question with its choices in MMLU's own form, to be answered with a letter (Hendrycks et al. 2021,
    arXiv 2009.03300); `asked` holds question and choices apart, and `answer` the place of the right one.
    """
    folder = _folder("lm_eval", source) / "tasks/mmlu/flan_cot_fewshot"
    check_requirements(f"dataset {source.text!r}", ("yaml",))
    import yaml

    rows: list[dict[str, Any]] = []
    for file in sorted(folder.glob("mmlu_*.yaml")):
        # its own loader knows no `!function`, which these files do not need here
        task = yaml.safe_load(re.sub(r"!function \S+", "null", file.read_text(encoding="utf-8")))
        rows += [_question(task["dataset_name"], sample) for sample in task["fewshot_config"]["samples"]]
    names = ("prompt", "letter", "asked", "answer", "question", "choices", "subject")
    columns = {name: [row[name] for row in rows] for name in names}
    return Table(columns, revision=version("lm_eval"), inputs="prompt", references="letter")


def _question(subject: str, sample: dict[str, str]) -> dict[str, Any]:
    question, _, listed = sample["question"].partition("\n(A)")
    choices = [text for _, text in _CHOICE.findall("(A)" + listed)]
    letter = re.findall(r"\(([A-E])\)", sample["target"])[-1]
    shown = "".join(f"\n{mark}. {text}" for mark, text in zip("ABCDE", choices, strict=False))
    return {
        "prompt": f"{question.strip()}{shown}\nAnswer:",
        "letter": letter,
        "asked": {"question": question.strip(), "choices": choices},
        "answer": "ABCDE".index(letter),
        "question": question.strip(),
        "choices": choices,
        "subject": subject.replace("_", " "),
    }


def _folder(package: str, source: Source) -> Path:
    """Where an installed package lies; it is not imported."""
    check_requirements(f"dataset {source.text!r}", (package,))
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise UsageError(f"dataset {source.text!r}: the package {package} has no folder")
    return Path(spec.submodule_search_locations[0])


#: What can be asked of a Python package: `package#part` -> its reader.
PARTS: dict[str, Part] = {
    "countryinfo#capitals": Part(_capitals),
    "lm_eval#mmlu": Part(_mmlu),
    "skimage#photos": Part(_photos),
    "sklearn#digits": Part(_digits),
}
