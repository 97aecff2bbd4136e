"""DistilBERT: BERT with half the layers, without token types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder, Shape
from tunewright.backbones._loaded import LoadedBackbone, layer_names, load_text, read_json
from tunewright.backbones._names import Names
from tunewright.core.sections import Fit

NAMES = layer_names(
    "transformer.layer.{}.",
    Names(
        words="embeddings.word_embeddings",
        positions="embeddings.position_embeddings",
        types="",
        norm="embeddings.LayerNorm",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        out="attention.out_lin",
        attention_norm="sa_layer_norm",
        up="ffn.lin1",
        down="ffn.lin2",
        layer_norm="output_layer_norm",
        prefixes=("distilbert.",),
    ),
)


def _shape(config: Mapping[str, Any]) -> Shape:
    return Shape(
        vocabulary=config["vocab_size"],
        width=config["dim"],
        layers=config["n_layers"],
        heads=config["n_heads"],
        inner=config["hidden_dim"],
        positions=config["max_position_embeddings"],
        types=0,
        dropout=config.get("dropout", 0.1),
        attention_dropout=config.get("attention_dropout", 0.1),
        activation=config.get("activation", "gelu"),
        head_width=config.get("head_width", 0),
    )


class DistilbertBackbone:
    """DistilBERT folders of Hugging Face."""

    @staticmethod
    def recognises(folder: Path) -> bool:
        return read_json(folder / "config.json").get("model_type") == "distilbert"

    @staticmethod
    def load(folder: Path, fit: Fit) -> LoadedBackbone:
        return load_text("distilbert", folder, _shape(read_json(folder / "config.json")), NAMES, fit)

    @staticmethod
    def encoder(config: Mapping[str, Any]) -> nn.Module:
        """An encoder of these measures, whose tensors are still to be put in."""
        return Encoder(_shape(config))

    @staticmethod
    def resized(config: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
        """The config of an encoder that was made smaller."""
        own = {"n_layers": shape.layers, "n_heads": shape.heads, "hidden_dim": shape.inner}
        return dict(config) | own | ({"head_width": shape.head_width} if shape.head_width else {})

    @staticmethod
    def tensors(own: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """Our weights under the names that transformers expects."""
        return NAMES.theirs(own, _shape(config))
