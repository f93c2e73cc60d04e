"""ort-int8: the ONNX file with weights of 8 bits, inputs of matrix products scaled to 8 bits at each call.

ONNX Runtime's dynamic quantization, of matrix products alone: integer convolutions are slower than float ones on most
CPUs and far less exact. The file is folded first (`quant_pre_process`): as torch writes it, weights reach products
through a transposition.

Weights have a scale a column, inputs one in all, which is what the runtime's products take. So it is the inputs that
cost precision: of MiniLM the cosine with float32 is 0.992, and with the weights alone rounded 0.9994.
"""

from __future__ import annotations

import platform
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

from ... import cache
from ...declare import variant
from ...errors import Fallback, Unsupported
from ...model import Model
from ...providers import nodes
from ...variants import words
from . import NEEDS, WORDS, run_in_onnxruntime

#: Operators that are quantized, and what ONNX Runtime makes of them.
QUANTIZED = ("MatMul", "Gemm")
INTEGER = frozenset({"MatMulInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QLinearMatMul", "QGemm"})


@variant("ort-int8", requires=NEEDS, decides="runtime")
def ort_int8(model: Model, option: str | None = None) -> Model:
    """The model as ONNX with integer products. Raises Unsupported off the CPU, Fallback when no product is one."""
    if model.device.kind != "cpu":
        raise Unsupported(
            f"variant 'ort-int8': ONNX Runtime has its integer products on the CPU, not on {model.device.name}: "
            "use --device cpu, or 'bnb-int8'"
        )
    session = run_in_onnxruntime(
        model, words("ort-int8", option, WORDS), "ort-int8", lambda path: _quantized(model, path)
    )
    hold_to(model, session)
    return model


def hold_to(model: Model, session: Any) -> None:
    """Note how many products are of integers in the graph that runs. Raises Fallback when none is."""
    import onnxruntime

    kinds = [kind for _, kind in nodes(session)]
    integer = sum(kind in INTEGER for kind in kinds)
    products = integer + sum(kind in (*QUANTIZED, "FusedMatMul") for kind in kinds)
    if not integer:
        raise Fallback(
            f"asked for ort-int8, floats ran: none of {products} matrix products of {model.facts.architecture} is of "
            "integers; leave 'ort-int8' out for it"
        )
    weights = ", weights of 7 bits because this CPU lacks VNNI" if saturates() else ""
    model.note(
        quantized_by=f"onnxruntime {onnxruntime.__version__}: {integer} of {products} matrix products{weights}",
        layers_quantized=integer,
        linear_layers=products,
    )


def _quantized(model: Model, path: Path) -> Path:
    import onnxruntime

    key = cache.key("ort-int8-2", onnxruntime.__version__, path.parent.name, saturates())
    folder = cache.made_once("onnx", key, lambda place: quantize(path, place / "model.onnx"))
    model.exported_to = folder
    size = sum(file.stat().st_size for file in folder.iterdir())
    model.note(quantization="ort-int8", weight_bytes=size)
    return folder / "model.onnx"


def saturates(flags: str | None = None) -> bool:
    """Whether products of 8-bit numbers overflow on this CPU: x86 without VNNI adds pairs of them in 16 bits.

    ONNX Runtime's advice for it is weights of 7 bits (onnxruntime.ai/docs/performance/model-optimizations/quantization,
    "When to use reduce-range and per-channel quantization?"). `flags` are those of /proc/cpuinfo; where there is no
    such file nothing is known, and VNNI assumed.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if flags is None:
        told = Path("/proc/cpuinfo")
        found = re.search(r"^flags\s*:(.*)$", told.read_text(), re.MULTILINE) if told.exists() else None
        flags = found[1] if found else "avx_vnni"
    return not {"avx512_vnni", "avx_vnni", "amx_int8"} & set(flags.split())


def quantize(path: Path, to: Path) -> None:
    """Write `path` with integer products, where it has products of a constant."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecated calls of onnx
        folded = Path(place) / "folded.onnx"
        quant_pre_process(path, folded, skip_symbolic_shape=True, skip_onnx_shape=True, save_as_external_data=True)
        _forget_shapes(folded)
        quantize_dynamic(
            folded,
            to,
            op_types_to_quantize=list(QUANTIZED),
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=saturates(),
            use_external_data_format=True,
        )
    for file in to.parent.iterdir():
        file.chmod(0o644)  # onnx writes through a temporary file of its owner's; a cache may be shared


def _forget_shapes(path: Path) -> None:
    """Take noted shapes out of a file: those of weights that were transposed are wrong after folding, and refused."""
    import onnx

    proto = onnx.load(path, load_external_data=False)
    del proto.graph.value_info[:]
    onnx.save(proto, path)
