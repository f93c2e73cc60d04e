"""A Device without its lease, for tests of models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_modelbench.settings import Settings


@dataclass(frozen=True)
class StandInDevice:
    name: str = "cpu"
    kind: str = "cpu"
    index: int | None = None

    @property
    def torch_name(self) -> str:
        return self.name

    def synchronise(self) -> None:
        if self.kind == "cuda":
            import torch

            torch.cuda.synchronize(self.index)


CPU = StandInDevice()
CUDA = StandInDevice("cuda:0", "cuda", 0)


def settings(**changes) -> Settings:
    return Settings(Path("."), (), (), {}, **changes)
