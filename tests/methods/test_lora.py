"""LoRA: the same as peft's on the transformers module, merged without a trace, and continued after a kill."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.backbones.bert import NAMES
from tunewright.core.errors import TunewrightError
from tunewright.methods import lora, probe
from tunewright.methods._low_rank import Beside, merge, put_beside
from tunewright.methods._partial import shared
from tunewright.train.hand_over import to_hf
from tunewright.train.outputs import logits_of

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 2, "fit.learning_rate": 2e-2, "fit.batch_rows": 16, "fit.average": 0.9}
PEFT = {
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "out": ("attention.output.dense",),
}
PEFT |= {"up": ("intermediate.dense",), "down": ("output.dense",)}


def updated(context: Any, rank: int = 8) -> tuple[Any, dict[str, Any]]:
    """The encoder with updates that are not zero, in evaluation."""
    encoder = shared(context)
    updates = put_beside(encoder, "lora", lambda base, parts: lora.Pair(base, parts, rank))
    for one in updates.values():
        torch.nn.init.normal_(one.up, std=0.1)  # type: ignore[arg-type]
    return encoder.eval(), updates


def batch() -> dict[str, torch.Tensor]:
    mask = torch.ones(3, 9, dtype=torch.int64)
    mask[1, 4:] = 0
    return {"input_ids": torch.randint(5, 90, (3, 9)) * mask, "attention_mask": mask}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_it_is_the_lora_of_peft(make_context: Make, tiny_backbone: Path) -> None:
    """Parameters, states and merged weights, query, key and value being layers of their own there."""
    from peft import LoraConfig, get_peft_model
    from transformers import BertModel

    encoder, updates = updated(make_context())
    pattern = (
        r"encoder\.layer\.\d+\.(attention\.self\.(query|key|value)|(attention\.output|intermediate|output)\.dense)"
    )
    config = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=pattern)
    theirs = get_peft_model(BertModel.from_pretrained(tiny_backbone, add_pooling_layer=False), config).eval()
    state = theirs.state_dict()
    for name, update in updates.items():
        _, number, leaf = name.split(".")
        downs = update.down.chunk(len(PEFT[leaf]))
        for their, down, up in zip(PEFT[leaf], downs, update.up, strict=True):
            place = f"base_model.model.encoder.layer.{number}.{their}"
            state[f"{place}.lora_A.default.weight"], state[f"{place}.lora_B.default.weight"] = down, up
    theirs.load_state_dict(state)
    counts = [sum(one.numel() for one in module.parameters() if one.requires_grad) for module in (encoder, theirs)]
    assert counts[0] == counts[1] > 0
    arrays = batch()
    real = arrays["attention_mask"].bool()
    with torch.no_grad():
        expected = theirs(**arrays).last_hidden_state[real]
        torch.testing.assert_close(encoder(**arrays)[0][real], expected, atol=1e-5, rtol=1e-4)
    merged = theirs.merge_and_unload().state_dict()
    merge(encoder)
    for name, value in NAMES.theirs(encoder.state_dict(), encoder.shape).items():
        torch.testing.assert_close(value, merged[name], atol=1e-6, rtol=1e-5)


def test_merging_changes_no_state_and_leaves_no_trace(make_context: Make) -> None:
    context = make_context()
    encoder, _ = updated(context)
    arrays = batch()
    with torch.no_grad():
        before = encoder(**arrays)[0]
        merge(encoder)
        torch.testing.assert_close(encoder(**arrays)[0], before, atol=1e-5, rtol=1e-4)
        assert (context.backbone.encoder.eval()(**arrays)[0] - before).abs().max() > 0.1
    assert list(encoder.state_dict()) == list(context.backbone.encoder.state_dict())
    assert not any(isinstance(one, Beside) for one in encoder.modules())


def test_what_is_learnt_has_the_rank_asked_for_and_all_else_is_the_backbones(
    make_context: Make, last_is_best: None
) -> None:
    context = make_context("classify", SETTINGS | {"fit.size": 3})
    fitted = lora.fit(context)
    before = context.backbone.encoder.state_dict()
    count = 0
    for name, value in fitted.encoder.state_dict().items():
        leaf, _, end = name.partition(".")[2].partition(".")[2].partition(".")
        if leaf not in PEFT or end != "weight":
            assert torch.equal(value, before[name]), f"{name} has moved"
            continue
        parts = (value - before[name]).chunk(len(PEFT[leaf]))
        assert [int(torch.linalg.matrix_rank(part, atol=1e-5)) for part in parts] == [3] * len(parts), name
        count += sum(3 * sum(part.shape) for part in parts)
    assert fitted.facts["encoder_parameters"] == count
    assert fitted.facts["head_parameters"] == sum(one.numel() for one in fitted.head.parameters())
    assert fitted.facts["trainable_parameters"] == count + fitted.facts["head_parameters"]
    assert fitted.facts["rank"] == 3


def test_it_begins_as_the_probe(make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.learning_rate": 1e-12})
    context.start = probe.fit(context)
    fitted = lora.fit(context)
    np.testing.assert_allclose(fitted.validation_logits, context.start.validation_logits, atol=1e-4)
    assert fitted.facts["rank"] == lora.RANK


def test_the_frozen_tensors_are_not_copied(make_context: Make) -> None:
    context = make_context()
    encoder, _ = updated(context)
    own = {one.data_ptr() for one in context.backbone.encoder.parameters()}
    frozen = [one for one in encoder.parameters() if not one.requires_grad]
    assert {one.data_ptr() for one in frozen} == own
    assert all(one.requires_grad for one in context.backbone.encoder.parameters()), "another method may train them"


def test_a_rank_beyond_what_a_layer_can_have_is_the_layers_own(make_context: Make) -> None:
    _, updates = updated(make_context(), rank=1000)
    assert {one.up.shape[2] for one in updates.values()} == {32}


def test_another_encoder_is_updated_where_its_linear_layers_are_called(with_other: Make, last_is_best: None) -> None:
    context = with_other(**SETTINGS)
    fitted = lora.fit(context)
    before = context.backbone.encoder.state_dict()
    moved = {name for name, value in fitted.encoder.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"last.weight"}
    again = logits_of(context, fitted.encoder, fitted.head, context.validation)
    np.testing.assert_allclose(fitted.validation_logits, again, atol=1e-4)


def test_an_encoder_without_linear_layers_is_refused(with_other: Make) -> None:
    problem = r"method 'lora' does not fit this encoder \(Other\): it has no linear layer to update → use --method full"
    with pytest.raises(TunewrightError, match=problem):
        lora.fit(with_other(own=False))


@pytest.mark.parametrize("died_after", [3, 7])
def test_a_training_that_was_killed_goes_on_to_the_same_bits(
    died_after: int, resumed: Make, last_is_best: None
) -> None:
    whole, again = resumed(lora, SETTINGS, died_after)
    assert (again.facts["steps"], again.facts["best_step"]) == (10, 10)
    for part in ("encoder", "head"):
        states = getattr(again, part).state_dict(), getattr(whole, part).state_dict()
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_the_bundle_says_what_was_trained_and_hands_over_to_transformers(ship: Make, tmp_path: Path) -> None:
    from transformers import BertModel

    bundle = ship("lora")
    assert json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["method"]["rank"] == lora.RANK
    BertModel.from_pretrained(to_hf(bundle, tmp_path / "hf"))
