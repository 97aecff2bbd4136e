"""Every family gives the states and gradients of the module that transformers makes of the same folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tunewright.backbones._load import LAST, load
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core import plugins
from tunewright.core.sections import Fit

# Class of transformers → our family, which is also the name of the encoder inside its larger models.
FAMILIES = {"Bert": "bert", "Roberta": "roberta", "XLMRoberta": "roberta", "DistilBert": "distilbert"}
Save = Callable[..., tuple[Path, Any]]


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Three rows of 9, 4 and 1 tokens, padded on the right."""
    torch.manual_seed(1)
    mask = (torch.arange(9) < torch.tensor([[9], [4], [1]])).long()
    return {"input_ids": torch.randint(5, 200, (3, 9)) * mask, "attention_mask": mask}


def opened(folder: Path, **settings: Any) -> LoadedBackbone:
    return load(str(folder), Fit(**settings))[0]


def padded(batch: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """The batch with the family's own padding id, from which RoBERTa counts positions."""
    ids = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, model.config.pad_token_id)
    return {"input_ids": ids, "attention_mask": batch["attention_mask"]}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("variant", ["Model", "ForSequenceClassification", "ForMaskedLM"])
def test_states_are_those_of_transformers(family: str, variant: str, save: Save, batch: dict[str, Tensor]) -> None:
    folder, model = save(family, variant)
    backbone = opened(folder)
    assert backbone.family == FAMILIES[family]
    whole = model if variant == "Model" else getattr(model, FAMILIES[family])
    with torch.no_grad():
        expected = whole(**padded(batch, model)).last_hidden_state
        states, mask = backbone.encoder.eval()(**padded(batch, model))
    real = batch["attention_mask"] > 0
    torch.testing.assert_close(states[real], expected[real], atol=1e-5, rtol=0)
    torch.testing.assert_close(mask, batch["attention_mask"].float())
    assert states[real].std() > 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_are_those_of_transformers(family: str, save: Save, batch: dict[str, Tensor]) -> None:
    off = ("dropout", "attention_dropout") if family == "DistilBert" else (
        "hidden_dropout_prob", "attention_probs_dropout_prob")  # fmt: skip
    folder, model = save(family, **dict.fromkeys(off, 0.0))
    backbone = opened(folder)
    weights = torch.randn(3, 9, 32) * batch["attention_mask"].unsqueeze(-1)
    (model.train()(**padded(batch, model)).last_hidden_state * weights).sum().backward()
    (backbone.encoder.train()(**padded(batch, model))[0] * weights).sum().backward()
    own = {name: one.grad for name, one in backbone.encoder.named_parameters()}
    theirs = plugins.load("backbones", backbone.family).tensors(own, backbone.config)
    expected = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    assert set(theirs) == set(expected)
    for name, gradient in expected.items():
        torch.testing.assert_close(theirs[name], gradient, atol=2e-4, rtol=1e-4, msg=f"the gradient of {name} differs")


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_go_back_under_the_names_of_transformers(family: str, save: Save) -> None:
    folder, model = save(family)
    backbone = opened(folder)
    again = plugins.load("backbones", backbone.family).tensors(backbone.encoder.state_dict(), backbone.config)
    expected = {name: one for name, one in model.state_dict().items() if "pooler" not in name}
    assert set(again) == {name for name in expected if not name.endswith(("position_ids", "token_type_ids"))}
    for name, tensor in again.items():
        torch.testing.assert_close(tensor, expected[name], atol=0, rtol=0)


def test_dropout_is_drawn_in_training_only(save: Save, batch: dict[str, Tensor]) -> None:
    encoder = opened(save("Bert")[0]).encoder
    torch.testing.assert_close(*(encoder.eval()(**batch)[0] for _ in range(2)), atol=0, rtol=0)
    one, other = (encoder.train()(**batch)[0] for _ in range(2))
    assert not torch.equal(one, other)


@pytest.mark.parametrize("activation", ["relu", "gelu_new", "gelu_pytorch_tanh"])
def test_the_activation_is_the_models_own(activation: str, save: Save, batch: dict[str, Tensor]) -> None:
    folder, model = save("Bert", hidden_act=activation)
    with torch.no_grad():
        states, expected = opened(folder).encoder.eval()(**batch)[0], model(**batch).last_hidden_state
    real = batch["attention_mask"] > 0
    torch.testing.assert_close(states[real], expected[real], atol=1e-5, rtol=0)


def test_weights_of_half_precision_are_read_as_fp32(save: Save) -> None:
    folder, model = save("Bert")
    model.half().save_pretrained(folder)
    assert {one.dtype for one in opened(folder).encoder.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", plugins.names("backbones"))
def test_contract(name: str, tmp_path: Path) -> None:
    """A family recognises its own folders alone, and gives its weights back."""
    family = plugins.load("backbones", name)
    assert len(plugins.summary("backbones", name)) > 20
    assert not family.recognises(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    assert family.recognises(tmp_path) == (name == LAST)  # which is asked after all others, and says why it refuses
    assert callable(family.load)
    assert callable(family.tensors)
