"""Small convolutional networks over strips, read from a folder with ``config.json`` and ``model.safetensors``."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from strips.strip import Strip
from tunewright.backbones._loaded import LoadedBackbone, read_json
from tunewright.core.sections import Fit


class Net(nn.Module):
    """frames (b, t, 2), present (b, t) → states (b, t, d), mask (b, t)"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.near = nn.Conv1d(2, width, 3, padding=1)
        self.mix = nn.Linear(width, width)

    def forward(self, frames: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        near = torch.tanh(self.near((frames * present.unsqueeze(-1)).transpose(1, 2))).transpose(1, 2)
        return torch.tanh(self.mix(near)), present


class StripnetBackbone:
    """Folders whose ``config.json`` says ``model_type = stripnet``."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        return read_json(folder / "config.json").get("model_type") == "stripnet"

    @staticmethod
    def load(folder: Path, fit: Fit) -> LoadedBackbone:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        net = Net(config["width"])
        net.load_state_dict(load_file(folder / "model.safetensors"))
        return LoadedBackbone("stripnet", "strip", Strip(config["max_frames"]), net, net.width, "mean", config)
