"""Features: transformers' feature extractors, of a model's folder or as its type has them unasked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .reading import quietly


def extractor_of(folder: Path | None, config: Mapping[str, Any]) -> Any:
    """What turns samples into what a model hears. Raises UsageError where a folder has none and its type neither."""
    from transformers import AutoFeatureExtractor

    if folder is not None:
        try:
            with quietly():
                return AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, ImportError) as error:
            raise UsageError(f"cannot make a feature extractor of {folder} ({error})") from error
    return _usual(config)


def _usual(config: Mapping[str, Any]) -> Any:
    import transformers
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING_NAMES as NAMES

    kind = NAMES.get(str(config.get("model_type")))
    if kind is None:
        raise UsageError(f"a {config.get('model_type')} with random weights has no feature extractor; use a saved one")
    sizes = {"feature_size": config["num_mel_bins"]} if config.get("num_mel_bins") else {}
    if config.get("model_type") == "audio-spectrogram-transformer":
        sizes = {"num_mel_bins": config["num_mel_bins"], "max_length": config["max_length"]}
    return getattr(transformers, kind)(**sizes)
