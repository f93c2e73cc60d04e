"""keras, savedmodel, tflite: ways to run a TensorFlow model; `eager` is Keras operation by operation.

keras                 the function that Keras's `predict` runs: a graph of TensorFlow's
keras:jit             the same compiled by XLA, keras:no-jit without
savedmodel            exported by Keras, its signature served in a session
tflite                the SavedModel converted, run by LiteRT in float32
tflite:int8           weights of 8 bits, inputs of products scaled to 8 bits at each call (dynamic range)
tflite:fp16           weights of 16 bits, computed in float32 where a CPU cannot
tflite:threads=4      as many threads; else torch's number
tflite:no-xnnpack     LiteRT's own kernels; tflite:xnnpack asks for that delegate
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from ..declare import check_requirements, variant
from ..errors import Fallback, Unsupported
from ..exports import made
from ..model import Model
from ..tensorflow import keras_net, library, lite, quietly, saved_model, tensorflow_version
from ..variants import no_option, words

_PRECISIONS = {"fp32": ("float32",), "fp16": ("float16",), "int8": ("int8",)}


@variant(decides="runtime")
def keras(model: Model, option: str | None = None) -> Model:
    """Keras's own predict. Raises Unsupported where XLA was asked for and cannot, Fallback when no graph ran."""
    told = words("keras", option, {"jit": ("jit", "no-jit")})
    family = _of_form(model, "keras", "KerasFile")
    module = model.module
    if "jit" in told:
        _ask_jit(module, told["jit"] == "jit", f"variant 'keras:{option}'")
    family.run_by(keras_net.KerasForward(module, family.takes, graph=True))
    return model


def _ask_jit(module: Any, jit: bool, where: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it says that it will not, which is seen below
        module.jit_compile = jit
    if bool(module.jit_compile) != jit:
        raise Unsupported(f"{where}: Keras has layers here that XLA cannot compile: use 'keras'")


@variant(decides="runtime")
def savedmodel(model: Model, option: str | None = None) -> Model:
    """A SavedModel of the Keras model, served. Raises Unsupported where Keras cannot write one."""
    no_option("savedmodel", option)
    family = _of_form(model, "savedmodel", "KerasFile")
    signature = saved_model.Signature(_exported(model), "variant 'savedmodel'")
    _check_names("savedmodel", family.takes, signature.takes)
    model.hand_over("a session of TensorFlow")
    family.run_by(signature)
    return model


@variant(decides="runtime")
def tflite(model: Model, option: str | None = None) -> Model:
    """A .tflite file of the model. Raises Unsupported where it cannot be converted, Fallback for another precision."""
    told = words(
        "tflite",
        option,
        {"precision": tuple(_PRECISIONS), "threads": int, "delegate": ("xnnpack", "no-xnnpack")},
    )
    family = _of_form(model, "tflite", "KerasFile", "SavedModelFolder")
    where = "variant 'tflite'"
    precision = told.get("precision", "fp32")
    check_requirements(where, ("tensorflow",))
    path = _converted(model, precision)
    delegate = {"xnnpack": True, "no-xnnpack": False}.get(told.get("delegate", ""))
    net = lite.Lite(path, where, number=int(told["threads"]) if "threads" in told else None, xnnpack=delegate)
    stored = _held_to(net, precision)
    _check_names("tflite", family.takes, net.takes)
    if hasattr(model.module, "close"):
        model.module.close()
    model.hand_over("LiteRT")
    family.run_by(net)
    model.note(weight_bytes=path.stat().st_size, **stored)
    return model


def _of_form(model: Model, name: str, *forms: str) -> Any:
    """The model with its family's verbs. Raises Unsupported, with what can, for one of another form."""
    family: Any = model  # its family's verbs; variants know no family by its class
    form = getattr(family, "form", None)
    if form in forms:
        _ = model.module  # read: what it takes is known then
        return family
    if form is None:
        raise Unsupported(
            f"variant {name!r} is for TensorFlow's models (a .keras file, a SavedModel), and this is none: use 'onnx', "
            "'openvino' or 'compiled'"
        )
    if name == "keras":
        raise Unsupported(f"variant 'keras' runs .keras files, and {model.source.text!r} is none: use 'eager'")
    said = "is a .tflite file, which nothing turns back" if form == "TfliteFile" else "is a SavedModel already"
    raise Unsupported(f"variant {name!r}: {model.source.text!r} {said}: 'eager' runs it as it is")


def _check_names(name: str, own: Any, other: Any) -> None:
    """Raise Unsupported where what an export takes is called otherwise: it would be given the wrong arrays."""
    mine, others = sorted(port.name for port in own), sorted(port.name for port in other)
    if mine != others:
        raise Unsupported(f"variant {name!r}: the model takes {mine}, its export {others}: give its inputs plain names")


def _exported(model: Any) -> Path:
    """The SavedModel of a model, made once; its own folder where it is one."""
    if model.form == "SavedModelFolder":
        return Path(model.path)
    backend = keras_net.backend()
    if not backend.startswith("tensorflow"):
        raise Unsupported(
            f"{model.source.text!r} runs on {backend}, and Keras writes a SavedModel only of what runs on TensorFlow: "
            "start with KERAS_BACKEND=tensorflow, or use 'keras'"
        )

    def write(folder: Path) -> None:
        try:
            keras_net.export(model.module, folder)
        except (ValueError, TypeError, RuntimeError, NotImplementedError) as error:
            raise Unsupported(
                f"{model.source.text!r} cannot be exported as a SavedModel: {_reason(error)}; 'keras' runs it"
            ) from error

    key = [model.facts.details["runtime"], keras_net.own_classes()]
    return made(model, "savedmodel", key, write, [model.facts.details["digest"]])


def _converted(model: Any, precision: str) -> Path:
    """The .tflite file of a model, made once."""
    folder = _exported(model)
    signature = model.module.name if model.form == "SavedModelFolder" else saved_model.USUAL

    def write(place: Path) -> None:
        (place / "model.tflite").write_bytes(_convert(folder, signature, precision, model.source.text))

    before = model.facts.details.get("export_seconds")
    key = [tensorflow_version(), precision, signature, keras_net.own_classes()]
    path = made(model, "tflite", key, write, [model.facts.details["digest"]]) / "model.tflite"
    if (converted := model.facts.details["export_seconds"]) is not None and before is not None:
        model.note(export_seconds=before + converted)  # both were made now
    return path


def _convert(folder: Path, signature: str, precision: str, source: str) -> bytes:
    """A SavedModel's signature as the bytes of a .tflite file. Raises Unsupported with the operators that it lacks."""
    tensorflow = library()
    with quietly():
        try:
            converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[signature])
        except AttributeError as error:  # it makes the Python objects of a SavedModel anew
            raise Unsupported(
                f"{source!r} cannot be converted to .tflite: the library that wrote it is not here to read it again "
                f"({error}); 'eager' serves its signature all the same"
            ) from error
        if precision != "fp32":
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tensorflow.float16]
        try:
            return bytes(converter.convert())
        except (ValueError, RuntimeError, tensorflow.errors.OpError) as error:
            raise _failed(source, error) from error
        except Exception as error:  # the converter's own class, which TensorFlow does not export
            if type(error).__name__ != "ConverterError":
                raise
            raise _failed(source, error) from error


def _failed(source: str, error: BaseException) -> Unsupported:
    return Unsupported(f"{source!r} cannot be converted to .tflite: {_reason(error)}; 'savedmodel' or 'keras' runs it")


def _reason(error: BaseException) -> str:
    """The line of a long message that names what is not known."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line or line.startswith(("TF Select ops", "Custom ops"))]
    return ((telling or lines or [type(error).__name__])[0])[:300]


def _held_to(net: lite.Lite, precision: str) -> dict[str, Any]:
    """What of a file's weights have the asked precision, as facts. Raises Fallback when none has."""
    if precision == "fp32":
        return {}
    stored = net.stored(*_PRECISIONS[precision])
    if not stored:
        raise Fallback(
            f"asked for weights of {precision}, float32 would run: TensorFlow's converter made no tensor of it (of "
            "int8 it makes none under 1024 numbers); use 'tflite'"
        )
    return {
        "quantization": f"tflite-{precision}",
        "quantized_by": f"tensorflow {tensorflow_version()}: {stored} tensors",
    }
