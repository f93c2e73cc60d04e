"""Waves: sounds to the samples a model hears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import UsageError


def waves(sounds: Sequence[Any], rate: int) -> list[Any]:
    """Samples (n,) float32 of each sound: `{"array": ..., "sampling_rate": ...}`, or samples at the model's own rate.

    Raises UsageError for another rate: resampling is work that nobody asked to be timed.
    """
    if not isinstance(sounds, (list, tuple)) or not sounds:
        raise UsageError(f"sounds must be a list of at least one, not {type(sounds).__name__}")
    return [_wave(sound, rate) for sound in sounds]


def _wave(sound: Any, rate: int) -> Any:
    import numpy

    own = sound.get("sampling_rate", rate) if isinstance(sound, dict) else rate
    samples = numpy.asarray(sound["array"] if isinstance(sound, dict) else sound, "float32")
    if samples.ndim != 1 or not len(samples):
        raise UsageError(f"a sound is samples in one row, not an array of shape {samples.shape}")
    if own != rate:
        raise UsageError(
            f"a sound has {own:,} samples a second, the model hears {rate:,}: add ?sampling_rate={rate} to the dataset"
        )
    return samples
