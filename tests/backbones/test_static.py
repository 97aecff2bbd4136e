"""Static models: the mean of token vectors, read from a folder as model2vec writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tunewright.backbones._load import load
from tunewright.backbones._static import TokenMean
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.sections import Fit


def test_the_state_is_the_mean_of_the_tokens_without_padding() -> None:
    encoder = TokenMean.of(torch.tensor([[9.0, 9.0], [1.0, 0.0], [0.0, 3.0]]))
    states, mask = encoder(torch.tensor([[1, 2, 0], [2, 2, 2]]), torch.tensor([[1, 1, 0], [1, 1, 1]]))
    assert states.tolist() == [[[0.5, 1.5]], [[0.0, 3.0]]]
    assert mask.tolist() == [[1.0], [1.0]]


@pytest.fixture
def folder(tiny_backbone: Path, tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "model2vec", "normalize": True}))
    (tmp_path / "tokenizer.json").write_bytes((tiny_backbone / "tokenizer.json").read_bytes())
    return tmp_path


def test_a_folder_of_model2vec_is_read_with_its_weights(folder: Path) -> None:
    table, weights = torch.randn(50, 6), torch.rand(50)
    save_file({"embeddings": table, "weights": weights}, folder / "model.safetensors")
    backbone, _ = load(str(folder), Fit())
    assert (backbone.family, backbone.width, backbone.pooling) == ("static", 6, "mean")
    torch.testing.assert_close(backbone.encoder.words.weight.detach(), table * weights[:, None])
    again = plugins.load("backbones", "static").encoder(backbone.config)
    assert {name: one.shape for name, one in again.state_dict().items()} == {"words.weight": (50, 6)}
    with pytest.raises(TunewrightError, match="a static model has no form that transformers loads → use --to onnx"):
        plugins.load("backbones", "static").tensors(again.state_dict(), backbone.config)


def test_a_folder_without_a_table_or_with_shared_vectors_is_refused(folder: Path) -> None:
    save_file({"other": torch.zeros(2, 2)}, folder / "model.safetensors")
    with pytest.raises(TunewrightError, match="it holds other, and no table of token vectors"):
        load(str(folder), Fit())
    save_file({"embeddings": torch.zeros(2, 2), "mapping": torch.zeros(4)}, folder / "model.safetensors")
    with pytest.raises(TunewrightError, match="its tokens share vectors by a mapping"):
        load(str(folder), Fit())
