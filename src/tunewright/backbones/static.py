"""Static models: the mean of token vectors from a table, as `compress --to distill` and model2vec make them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tunewright.backbones._loaded import LoadedBackbone, read_json, read_tensors, text_modality
from tunewright.backbones._static import TokenMean
from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit

FAMILY = "static"
TABLES = ("embeddings", "embedding.weight", "embeddings.weight")
"""What writers of such folders call the table."""
LONGEST = 512
"""Tokens of a window: no position limits it, but a batch is as long as its longest window."""


class StaticBackbone:
    """Folders with a table of token vectors: ``model_type`` model2vec, one tensor (v, d) and a tokenizer."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        return read_json(folder / "config.json").get("model_type") == "model2vec"

    @staticmethod
    def load(folder: Path, fit: Fit) -> LoadedBackbone:
        """The table, each row times its weight where the folder has weights.

        Raises
        ------
        TunewrightError
            It has no table, or one that stands for several tokens by a mapping.
        """
        tensors = read_tensors(folder)
        name = next((one for one in TABLES if one in tensors), None)
        if name is None or tensors[name].ndim != 2:
            raise TunewrightError(
                f"{folder}: it holds {', '.join(sorted(tensors)) or 'no tensor'}, and no table of token vectors",
                f"a static model has one tensor (v, d) named {TABLES[0]}",
            )
        if "mapping" in tensors:
            raise TunewrightError(f"{folder}: its tokens share vectors by a mapping", "use one without quantised words")
        table = tensors[name]
        if "weights" in tensors:
            table = table * tensors["weights"].reshape(-1, 1)
        encoder = TokenMean.of(table)
        modality, note = text_modality(folder, read_json(folder / "config.json"), LONGEST, fit)
        notes = tuple(one for one in (note,) if one)
        return LoadedBackbone(FAMILY, "text", modality, encoder, encoder.width, "mean", config_of(encoder), notes)

    @staticmethod
    def encoder(config: Mapping[str, Any]) -> nn.Module:
        """An encoder of these measures, whose tensors are still to be put in."""
        return TokenMean(config["vocab_size"], config["hidden_size"])

    @staticmethod
    def tensors(own: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """There is no such model in transformers.

        Raises
        ------
        TunewrightError
            Always.
        """
        raise TunewrightError("a static model has no form that transformers loads", "use --to onnx")


def config_of(encoder: TokenMean) -> dict[str, Any]:
    """What ``encoder`` needs to make another one of these measures."""
    return {"model_type": FAMILY, "vocab_size": encoder.words.num_embeddings, "hidden_size": encoder.width}
