"""Datasheet: what makers state that their devices can do at most; dense arithmetic, never the sparse figure.

Sources: NVIDIA's "H100 Tensor Core GPU Datasheet" and "H100 Tensor Core GPU Architecture" (V1.04, table 2), "H200
Tensor Core GPU Datasheet", "A100 Tensor Core GPU Datasheet", "L4" and "L40S" datasheets, and "NVIDIA
Ada GPU Architecture" (V2.02, appendix A, with FP32 accumulation). Where a sheet states sparse figures, half of them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sheet:
    """Peaks of one device, in FLOP/s and bytes/s; `half` is bfloat16 and float16 on tensor cores."""

    half: float | None
    tf32: float | None
    float32: float
    bytes_per_second: float

    def flops_per_second(self, dtype: str | None) -> float | None:
        """The peak of an arithmetic; None for one that the table leaves out."""
        return {"bfloat16": self.half, "float16": self.half, "tf32": self.tf32, "float32": self.float32}.get(
            dtype or ""
        )


_A100 = (312e12, 156e12, 19.5e12)

#: By the name that the driver gives: a part of one (MIG) has another name, and other peaks.
SHEETS = {
    "NVIDIA H100 80GB HBM3": Sheet(989.4e12, 494.7e12, 66.9e12, 3.35e12),
    "NVIDIA H100 PCIe": Sheet(756e12, 378e12, 51.2e12, 2.0e12),
    "NVIDIA H200": Sheet(989.4e12, 494.7e12, 66.9e12, 4.8e12),
    "NVIDIA A100-SXM4-40GB": Sheet(*_A100, 1.555e12),
    "NVIDIA A100-SXM4-80GB": Sheet(*_A100, 2.039e12),
    "NVIDIA A100-PCIE-40GB": Sheet(*_A100, 1.555e12),
    "NVIDIA A100 80GB PCIe": Sheet(*_A100, 1.935e12),
    "NVIDIA L4": Sheet(121e12, 60e12, 30.3e12, 300e9),
    "NVIDIA L40S": Sheet(362e12, 183e12, 91.6e12, 864e9),
    "NVIDIA GeForce RTX 4090": Sheet(165.2e12, 82.6e12, 82.6e12, 1.008e12),
}
