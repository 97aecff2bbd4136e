"""Any other encoder that transformers' AutoModel loads, such as ELECTRA, ALBERT, MPNet, DeBERTa and ModernBERT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from tunewright.backbones._loaded import LoadedBackbone, read_json
from tunewright.core.errors import MissingExtra
from tunewright.core.sections import Fit

OWN = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")
"""Model types that have an encoder of our own, which trains faster."""
INSIDE = "model."
"""Where the module of transformers lies in the encoder."""


class AutomodelBackbone:
    """Folders of Hugging Face whose network is the module of transformers itself; the extra ``encoders`` is needed."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        return read_json(folder / "config.json").get("model_type") not in (None, *OWN)

    @staticmethod
    def load(folder: Path, fit: Fit) -> LoadedBackbone:
        kind = read_json(folder / "config.json")["model_type"]
        loaded: LoadedBackbone = _library(f"backbone {folder} (model type {kind!r})").load(folder, fit)
        return loaded

    @staticmethod
    def encoder(config: Mapping[str, Any]) -> nn.Module:
        """An encoder of these measures, whose tensors are still to be put in."""
        made: nn.Module = _library(f"model type {config['model_type']!r}").empty(config)
        return made

    @staticmethod
    def tensors(own: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """Our weights under the names that transformers expects."""
        return {name.removeprefix(INSIDE): tensor for name, tensor in own.items()}


def _library(what: str) -> ModuleType:
    """What reads modules of transformers; the library is needed for these families alone."""
    try:
        from tunewright.backbones import _transformers
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "transformers":
            raise
        raise MissingExtra(what, "transformers", "encoders") from None
    return _transformers
