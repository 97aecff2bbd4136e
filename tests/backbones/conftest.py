"""What the tests of the backbones share: tiny random models of every family, saved by transformers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

SIZES: dict[str, dict[str, Any]] = {
    family: {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    for family in ("Bert", "Roberta", "XLMRoberta")
}
SIZES["DistilBert"] = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}

# Encoders that have no own one, with what is peculiar to each: an embedding size of their own, layers that are shared,
# positions counted from a padding id, relative ones, rotated ones with windows of attention.
OTHERS: dict[str, dict[str, Any]] = {
    "Electra": {"embedding_size": 16},
    "Albert": {"embedding_size": 16},
    "MPNet": {},
    "DebertaV2": {
        "relative_attention": True,
        "position_buckets": 8,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
    },
    "ModernBert": {
        "global_attn_every_n_layers": 2,
        "local_attention": 8,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
    },
}
SIZES |= {family: SIZES["Bert"] | own for family, own in OTHERS.items()}

Save = Callable[..., tuple[Path, Any]]


@pytest.fixture
def save(tiny_backbone: Path, tmp_path: Path) -> Save:
    """``save("Roberta", "ForMaskedLM", layer_norm_eps=1e-3)`` → the folder and the model that lies in it."""

    def write(family: str, variant: str = "Model", **options: Any) -> tuple[Path, Any]:
        words = json.loads((tiny_backbone / "config.json").read_text(encoding="utf-8"))["vocab_size"]
        config = getattr(transformers, f"{family}Config")(
            vocab_size=words, max_position_embeddings=40, **SIZES.get(family, {}) | options
        )
        torch.manual_seed(3)
        model = getattr(transformers, f"{family}{variant}")(config).eval()
        for parameter in model.parameters():  # norms and biases would else be ones and zeros, and hide a mistake
            parameter.data += 0.1 * torch.randn_like(parameter)
        folder = tmp_path / f"{family}-{variant}".lower()
        model.save_pretrained(folder)
        shutil.copy(tiny_backbone / "tokenizer.json", folder)
        return folder, model

    return write
