"""llama-bench of llama.cpp: `-o json` or `-o jsonl`. A row a test, with the time of each repetition."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from ..importers import File, imported, rounds
from ..record import ModelFacts, Record

#: What tells two tests of one model apart, besides their lengths.
_AXES = (
    "n_batch", "n_ubatch", "n_threads", "n_gpu_layers", "type_k", "type_v", "flash_attn", "split_mode", "embeddings",
)  # fmt: skip


def takes(content: Any) -> bool:
    """A list of rows with samples."""
    return (
        isinstance(content, list) and bool(content) and all(isinstance(r, dict) and "samples_ns" in r for r in content)
    )


def read(content: Any, file: File) -> list[Record]:
    """A Record a row: pp is the prompt, tg the generation, pg both; `d` is what stood in the KV cache before."""
    return [_record(row, file) for row in content]


def _record(row: dict[str, Any], file: File) -> Record:
    prompt, new, depth = int(row["n_prompt"]), int(row["n_gen"]), int(row.get("n_depth") or 0)
    name = f"pg{prompt}+{new}" if prompt and new else f"tg{new}" if new else f"pp{prompt}"
    build = f"b{row['build_number']} ({row['build_commit']})" if row.get("build_number") else ""
    return imported(
        file,
        "llama-bench",
        name + (f"@d{depth}" if depth else ""),
        version=build,
        started_utc=row.get("test_time", ""),
        axes={
            "model": PurePath(row["model_filename"]).name,
            "device": row.get("backends"),
            **{name: row.get(name) for name in _AXES},
        },
        machine={"cpu_name": row.get("cpu_info"), "gpu_name": row.get("gpu_info") or None},
        timing=rounds([value / 1e9 for value in row["samples_ns"]]),
        counts={"tokens": float(prompt + new)},
        model=ModelFacts(
            row["model_filename"],
            architecture=row.get("model_type"),
            parameters=row.get("model_n_params"),
            weight_bytes=row.get("model_size"),
            ran_on=row.get("backends"),
        ),
    )
