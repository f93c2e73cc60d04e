"""A little convnet of Keras's: operation by operation, as a graph, served, and in LiteRT."""

import os
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason='pip install "pytest-modelbench[tensorflow]"')
pytest.importorskip("ai_edge_litert", reason='pip install "pytest-modelbench[tensorflow]"')


@pytest.fixture(scope="session", autouse=True)
def digits():
    """The file that you have already: here one is written in the folder that pytest was started in."""
    # Keras computes here before any model is read, and that is when TensorFlow's threads are fixed
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    import keras

    layers = [keras.layers.Conv2D(16, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(10)]
    if not Path("digits.keras").exists():
        keras.Sequential([keras.Input((8, 8, 1)), *layers]).save("digits.keras")


@pytest.mark.models("./digits.keras")
@pytest.mark.variants("eager", "keras", "savedmodel", "tflite")
@pytest.mark.parity(cosine=0.999)
def bench_digits(model, measure):
    run = measure(model, **model.made_inputs(batch_size=16))
    run.count(items=16)
    assert run.output.shape == (16, 10)
