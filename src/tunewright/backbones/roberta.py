"""RoBERTa and XLM-R: encoders whose positions count from the padding id + 1."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder
from tunewright.backbones._loaded import LoadedBackbone, load_text, read_json
from tunewright.backbones.bert import NAMES, resized, shape_of
from tunewright.core.sections import Fit


def _offset(config: Mapping[str, Any]) -> int:
    return int(config.get("pad_token_id", 1)) + 1


class RobertaBackbone:
    """RoBERTa, XLM-R and CamemBERT folders of Hugging Face."""

    resized = staticmethod(resized)

    @staticmethod
    def recognises(folder: Path) -> bool:
        return read_json(folder / "config.json").get("model_type") in ("roberta", "xlm-roberta", "camembert")

    @staticmethod
    def load(folder: Path, fit: Fit) -> LoadedBackbone:
        config = read_json(folder / "config.json")
        return load_text("roberta", folder, shape_of(config, _offset(config)), NAMES, fit)

    @staticmethod
    def encoder(config: Mapping[str, Any]) -> nn.Module:
        """An encoder of these measures, whose tensors are still to be put in."""
        return Encoder(shape_of(config, _offset(config)))

    @staticmethod
    def tensors(own: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """Our weights under the names that transformers expects."""
        return NAMES.theirs(own, shape_of(config, _offset(config)))
