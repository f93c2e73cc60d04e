"""Media: pictures and sounds out of the bytes of their files."""

from __future__ import annotations

from io import BytesIO
from math import gcd
from typing import Any

from ..declare import check_requirements


def picture(content: bytes) -> Any:
    """A `PIL.Image` in RGB."""
    check_requirements("a picture", ("PIL",))
    from PIL import Image

    return Image.open(BytesIO(content)).convert("RGB")


def sound(content: bytes, sampling_rate: int | None = None) -> dict[str, Any]:
    """`{"array": float32 (samples,), "sampling_rate": samples a second}`, channels averaged.

    Where another rate is asked for, by scipy's polyphase filter (`resample_poly`). Read by libsndfile: wav, flac, ogg,
    mp3.
    """
    check_requirements("a sound", ("soundfile",))
    import soundfile

    samples, rate = soundfile.read(BytesIO(content), dtype="float32", always_2d=True)
    return {"array": resampled(samples.mean(axis=1), rate, sampling_rate), "sampling_rate": sampling_rate or rate}


def resampled(samples: Any, rate: int, asked: int | None) -> Any:
    """Samples (n,) at `rate` as so many a second."""
    if asked is None or asked == rate:
        return samples
    check_requirements("a sound at another rate", ("scipy",))
    from scipy.signal import resample_poly

    shared = gcd(rate, asked)
    return resample_poly(samples, asked // shared, rate // shared).astype("float32")
