"""Networks that TensorFlow's family of tools runs, one file a way to run them.

keras_net.py     a .keras file, operation by operation or by Keras's own predict function
saved_model.py   a signature of a SavedModel, in a session
lite.py          a .tflite file, in LiteRT

Nothing here is imported before a model needs it: TensorFlow takes seconds to import.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from importlib.util import find_spec
from typing import Any


def plain(array: Any) -> Any:
    """Floats as float32, also those that numpy itself has not (bfloat16)."""
    return array.astype("float32", copy=False) if array.dtype.kind in "fV" else array


@contextmanager
def quietly() -> Iterator[None]:
    """Without TensorFlow's and Keras's deprecations of their own calls, while they read or write a model."""
    import logging

    log = logging.getLogger("tensorflow")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        log.setLevel(level)


def version(*packages: str) -> str:
    """The version of the first of these packages that is installed."""
    for package in packages:
        try:
            return installed(package)
        except PackageNotFoundError:
            continue
    raise PackageNotFoundError(packages[0])


def tensorflow_version() -> str:
    """TensorFlow's, whatever its package is called here."""
    return version("tensorflow", "tensorflow-cpu", "tensorflow-intel", "tensorflow-macos")


def threads() -> int:
    """As many as torch takes, so that the two compare; without torch what OMP_NUM_THREADS says, else all cores."""
    if find_spec("torch"):
        import torch

        return int(torch.get_num_threads())
    told = os.environ.get("OMP_NUM_THREADS", "")
    return int(told) if told.isdigit() and int(told) else (os.cpu_count() or 1)


@cache
def library() -> Any:
    """TensorFlow, imported; its own log is kept to errors unless TF_CPP_MIN_LOG_LEVEL says otherwise.

    Its threads belong to the process and are fixed by the first operation: they are set here, unless somebody ran one.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quietly():
        import tensorflow
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads())
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        tensorflow.config.set_visible_devices([], "GPU")
        tensorflow.config.list_logical_devices()  # makes the pool
    except RuntimeError:  # in use before us: what it has is in `threads_text`
        pass
    return tensorflow


def threads_text() -> str:
    """How many threads TensorFlow's operations have in this process."""
    number = library().config.threading.get_intra_op_parallelism_threads()
    number = number or os.environ.get("TF_NUM_INTRAOP_THREADS")
    return f"{number} threads" if number else "as many threads as it chose, before the model was read"
