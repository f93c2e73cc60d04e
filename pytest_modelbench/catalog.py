"""Catalog: name -> declared thing. Built-ins are found by where they are and stay unloaded until used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

from .declare import Declared, Kind, Metric
from .errors import DuplicateName, UnknownName, UsageError

#: Built-in names and the module that holds each; the attribute is the name with `_` for `-`.
BUILT_IN: dict[Kind, dict[str, str]] = {
    "variant": {
        "eager": "variants.eager",
        "static": "variants.static",
        "compiled": "variants.compiled",
        "onnx": "variants.onnx",
        "fp32": "variants.dtypes",
        "fp16": "variants.dtypes",
        "bf16": "variants.dtypes",
        "tf32": "variants.dtypes",
        "sdpa": "variants.attention",
        "eager-attention": "variants.attention",
        "flash_attention_2": "variants.attention",
        "flex_attention": "variants.attention",
        "ort-int8": "variants.onnx.int8",
        "onnx-genai": "variants.onnx_genai",
        "openvino": "variants.openvino",
        "keras": "variants.tensorflow",
        "savedmodel": "variants.tensorflow",
        "tflite": "variants.tensorflow",
        "torchscript": "variants.torchscript",
        "torch-export": "variants.torch_export",
        "kernelized": "variants.kernelized",
        "liger": "variants.liger",
        "bnb-int8": "variants.bitsandbytes",
        "bnb-nf4": "variants.bitsandbytes",
        "bnb-fp4": "variants.bitsandbytes",
        "spread": "variants.spread",
        "tensor-parallel": "variants.tensor_parallel",
        "torchao-int8": "variants.torchao",
        "torchao-int8-dynamic": "variants.torchao",
    },
    "metric": {
        "accuracy": "metrics.classify",
        "balanced_accuracy": "metrics.classify",
        "precision": "metrics.classify",
        "recall": "metrics.classify",
        "f1": "metrics.classify",
        "mcc": "metrics.classify",
        "top_k": "metrics.classify",
        "auroc": "metrics.classify",
        "mse": "metrics.regress",
        "mae": "metrics.regress",
        "r2": "metrics.regress",
        "exact_match": "metrics.text",
        "contains": "metrics.text",
        "token_f1": "metrics.text",
        "bleu": "metrics.overlap",
        "chrf": "metrics.overlap",
        "rouge": "metrics.overlap",
        "meteor": "metrics.overlap",
        "bertscore": "metrics.learned",
        "bleurt": "metrics.learned",
        "toxicity": "metrics.learned",
        "perplexity": "metrics.likelihood",
        "bits_per_byte": "metrics.likelihood",
        "normalised_accuracy": "metrics.likelihood",
        "distinct_n": "metrics.diversity",
        "entropy": "metrics.diversity",
        "repetition": "metrics.diversity",
        "wer": "metrics.speech",
        "cer": "metrics.speech",
        "iou": "metrics.boxes",
        "mean_ap": "metrics.boxes",
        "cosine": "metrics.similar",
        "spearman": "metrics.similar",
        "logit_kl": "metrics.similar",
        "token_agreement": "metrics.similar",
        "evaluate": "metrics.outside",
        "lm_eval": "metrics.harness",
        "torchmetrics": "metrics.outside",
    },
    "sampler": {
        "process": "samplers.process",
        "rapl": "samplers.rapl",
        "nvml": "samplers.nvml",
        "amd": "samplers.amd",
        "apple": "samplers.apple",
    },
    "store": {"parquet": "stores.parquet"},
    "report": {
        "html": "reports.html",
        "csv": "reports.table",
        "json": "reports.table",
        "markdown": "reports.markdown",
        "pytest-benchmark": "reports.pytest_benchmark",
        "openmetrics": "reports.openmetrics",
        "pdf": "reports.pdf",
        "badge": "reports.badge",
        "model-card": "reports.card",
    },
}


class Catalog:
    """The built-ins and what plugins, conftest files and bench files of this session declare."""

    def __init__(self) -> None:
        self._declared: dict[tuple[Kind, str], Declared] = {}

    def add_from(self, namespace: Any) -> None:
        """Take in every labelled object of a module, as pytest takes in fixtures.

        Raises DuplicateName when a name already stands for something else.
        """
        for thing in list(vars(namespace).values()):
            if isinstance(thing, Declared):
                self._add(thing)

    def _add(self, thing: Declared) -> None:
        key = (thing.kind, thing.name)
        module = BUILT_IN[thing.kind].get(thing.name)
        if module and thing.function.__module__ == f"{__package__}.{module}":
            return  # a built-in, imported by name into somebody's file
        known = self._declared.setdefault(key, thing)
        if module or known is not thing:
            first = f"the built-in {__package__}.{module}" if module else known.place
            raise DuplicateName(thing.kind, thing.name, first, thing.place)

    def names(self, kind: Kind) -> Iterable[str]:
        """Every name of a kind, built-in and declared."""
        return {*BUILT_IN[kind], *(name for declared_kind, name in self._declared if declared_kind == kind)}

    def declared(self, kind: Kind) -> tuple[Declared, ...]:
        """What users declared of a kind, in the order it was found."""
        return tuple(thing for (declared_kind, _), thing in self._declared.items() if declared_kind == kind)

    def check(self, kind: Kind, name: str, where: str = "") -> None:
        """Raise UnknownName, with the near one, unless something is called so. Loads nothing."""
        if name not in self.names(kind):
            raise UnknownName(kind, name, self.names(kind), where)

    def find(self, kind: Kind, name: str, where: str = "") -> Declared:
        """The declared thing; a built-in's module is imported here."""
        self.check(kind, name, where)
        if (kind, name) in self._declared:
            return self._declared[kind, name]
        found = getattr(import_module(f"{__package__}.{BUILT_IN[kind][name]}"), name.replace("-", "_"))
        assert isinstance(found, Declared)
        return found

    def metric(self, name: str, where: str = "") -> Metric:
        """A metric by name, with its option after a colon: `f1:micro`, `evaluate:accuracy`."""
        base, separator, option = name.partition(":")
        if name in self.names("metric"):
            base, separator = name, ""
        found = self.find("metric", base, where)
        assert isinstance(found, Metric)
        if not separator:
            return found
        if "option" not in signature(found.function).parameters:
            raise UsageError(f"metric {base!r} takes nothing after a colon: leave {option!r} out")
        return replace(found, name=name, function=partial(found.function, option=option))
