"""BERT, MiniLM and E5: encoders that transformers loads as BertModel."""

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
    "encoder.layer.{}.",
    Names(
        words="embeddings.word_embeddings",
        positions="embeddings.position_embeddings",
        types="embeddings.token_type_embeddings",
        norm="embeddings.LayerNorm",
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        out="attention.output.dense",
        attention_norm="attention.output.LayerNorm",
        up="intermediate.dense",
        down="output.dense",
        layer_norm="output.LayerNorm",
        prefixes=("bert.", "roberta."),
    ),
)


def shape_of(config: Mapping[str, Any], position_offset: int = 0) -> Shape:
    """The measures that a BERT-like ``config.json`` states."""
    return Shape(
        vocabulary=config["vocab_size"],
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        inner=config["intermediate_size"],
        positions=config["max_position_embeddings"],
        types=config.get("type_vocab_size", 2),
        position_offset=position_offset,
        epsilon=config.get("layer_norm_eps", 1e-12),
        dropout=config.get("hidden_dropout_prob", 0.1),
        attention_dropout=config.get("attention_probs_dropout_prob", 0.1),
        activation=config.get("hidden_act", "gelu"),
        head_width=config.get("head_width", 0),
    )


def resized(config: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """The config of an encoder that was made smaller."""
    return dict(config) | {
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.inner,
        **({"head_width": shape.head_width} if shape.head_width else {}),
    }


class BertBackbone:
    """BERT-like folders of Hugging Face; positions must be absolute."""

    resized = staticmethod(resized)

    @staticmethod
    def recognises(folder: Path) -> bool:
        config = read_json(folder / "config.json")
        return config.get("model_type") == "bert" and config.get("position_embedding_type", "absolute") == "absolute"

    @staticmethod
    def load(folder: Path, fit: Fit) -> LoadedBackbone:
        return load_text("bert", folder, shape_of(read_json(folder / "config.json")), NAMES, fit)

    @staticmethod
    def encoder(config: Mapping[str, Any]) -> nn.Module:
        """An encoder of these measures, whose tensors are still to be put in."""
        return Encoder(shape_of(config))

    @staticmethod
    def tensors(own: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
        """Our weights under the names that transformers expects."""
        return NAMES.theirs(own, shape_of(config))
