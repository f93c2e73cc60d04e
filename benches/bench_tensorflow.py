"""Basic Pitch, which hears notes in two seconds of music: one net of 17 thousand parameters in three forms."""

import pytest

pytestmark = pytest.mark.speech

#: Of one call: what the net takes, at 22,050 samples a second.
SAMPLES, RATE = 43_844, 22_050


@pytest.fixture(scope="session")
def music():
    """The note A4 with its overtones, twice (items, samples, 1)."""
    numpy = pytest.importorskip("numpy")
    turns = 440 * numpy.arange(SAMPLES, dtype="float32") / RATE
    note = sum(0.1 / over * numpy.sin(2 * numpy.pi * over * turns) for over in (1, 2, 3))
    return numpy.tile(note.astype("float32")[None, :, None], (2, 1, 1))


@pytest.mark.models("package:basic_pitch#saved_model", "package:basic_pitch#tflite", "package:basic_pitch#onnx")
def bench_notes(model, music, measure):
    run = measure(model, music)
    run.count(audio_seconds=len(music) * SAMPLES / RATE)
    starts_and_sounds = [array for array in run.output.values() if array.shape == (2, 172, 88)]
    sounds = max(starts_and_sounds, key=lambda array: array.mean())
    assert sounds.mean((0, 1)).argmax() == 48  # A4 of a piano's 88 keys
