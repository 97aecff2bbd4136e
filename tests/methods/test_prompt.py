"""Prompt: the same as vectors put before the words of the transformers module; the tokens keep their positions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tunewright.backbones._encoder import summed
from tunewright.core.errors import TunewrightError
from tunewright.methods import prompt
from tunewright.methods._partial import shared_layers
from tunewright.methods._tokens import drawn
from tunewright.train.hand_over import to_hf

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 1, "fit.learning_rate": 2e-2, "fit.batch_rows": 16, "fit.average": 0.0}


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.ones(3, 9, dtype=torch.int64)
    mask[1, 4:] = 0
    return torch.randint(5, 90, (3, 9)) * mask, mask


def test_it_is_what_transformers_computes_from_embeddings(make_context: Make, tiny_backbone: Path) -> None:
    from transformers import BertModel

    theirs = BertModel.from_pretrained(tiny_backbone, add_pooling_layer=False).eval()
    vectors = torch.randn(5, 32)
    encoder = prompt.PromptedEncoder(shared_layers(make_context(), "prompt"), vectors).eval()
    ids, mask = batch()
    tables = theirs.embeddings
    with torch.no_grad():
        # The module adds position and type to whatever it is given, so they are taken off the vectors before.
        bare = vectors - tables.position_embeddings.weight[0] - tables.token_type_embeddings.weight[0]
        words = torch.cat([bare.expand(3, -1, -1), tables.word_embeddings(ids)], 1)
        expected = theirs(
            inputs_embeds=words,
            attention_mask=torch.cat([torch.ones(3, 5, dtype=torch.int64), mask], 1),
            position_ids=torch.tensor([[0] * 5 + list(range(9))]),
        ).last_hidden_state[:, 5:]
        states, seen = encoder(ids, mask)
    assert torch.equal(seen, mask.float())
    torch.testing.assert_close(states[mask.bool()], expected[mask.bool()], atol=1e-5, rtol=1e-4)


def test_a_prompt_of_length_zero_is_the_encoder_itself(make_context: Make) -> None:
    context = make_context()
    empty = prompt.PromptedEncoder(shared_layers(context, "prompt"), torch.empty(0, 32)).eval()
    given = batch()
    torch.testing.assert_close(empty(*given), context.backbone.encoder.eval()(*given), check_stride=False)


def test_it_begins_as_real_tokens(make_context: Make) -> None:
    """Drawn tokens are none of the padding, and come with their word, their position and their type."""
    context = make_context("classify", SETTINGS | {"fit.learning_rate": 1e-12})
    inputs, place = drawn(context, 40)
    assert inputs["attention_mask"].flatten()[place].all()
    assert len(set(place.tolist())) > 20
    vectors = prompt.fit(context).encoder.prompt
    inputs, place = drawn(context, prompt.LENGTH)
    encoder = context.backbone.encoder
    at = place % inputs["input_ids"].shape[1]
    expected = encoder.words.weight[inputs["input_ids"].flatten()[place]] + encoder.positions.weight[at]
    torch.testing.assert_close(vectors.detach(), (expected + encoder.types.weight[0]).detach())


def test_the_prompt_moves_and_nothing_of_the_backbone(make_context: Make, last_is_best: None) -> None:
    context = make_context("classify", SETTINGS | {"fit.size": 6})
    fitted = prompt.fit(context)
    before, after = context.backbone.encoder.state_dict(), fitted.encoder.state_dict()
    assert all(after[name].data_ptr() == value.data_ptr() for name, value in before.items())
    assert set(after) - set(before) == {"prompt"}
    inputs, place = drawn(context, 6)
    begun = summed(context.backbone.encoder, inputs["input_ids"]).flatten(0, 1)[place]
    assert ((after["prompt"] - begun).abs().amax(1) > 1e-3).all()
    assert fitted.facts["encoder_parameters"] == 6 * 32
    assert (fitted.facts["prompt_length"], fitted.facts["added_tensors"]) == (6, 1)


def test_another_encoder_is_refused(with_other: Make) -> None:
    with pytest.raises(TunewrightError, match="method 'prompt' does not fit backbone .* → use --method lora or"):
        prompt.fit(with_other())


def test_the_bundle_says_what_was_trained_and_has_no_form_in_transformers(ship: Make, tmp_path: Path) -> None:
    with pytest.raises(TunewrightError, match="method 'prompt' adds tensors to the encoder"):
        to_hf(ship("prompt"), tmp_path / "hf")
