"""Rows in lines: where they lie, and that encoder and gradients know nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tunewright.backbones._encoder import Encoder
from tunewright.heads._pooled import Embed
from tunewright.methods._packed import Packed, laid
from tunewright.train.course import Model

Make = Callable[..., Any]


@pytest.mark.parametrize("line", [40, 64])
def test_no_row_crosses_the_end_of_a_line_or_lies_on_another(line: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 41, 200)
    begin = laid(lengths, line)
    assert (begin // line == (begin + lengths - 1) // line).all()
    taken = np.concatenate([np.arange(*ends) for ends in zip(begin, begin + lengths, strict=True)])
    assert len(set(taken.tolist())) == lengths.sum()
    assert lengths.sum() > 0.9 * (begin.max() // line + 1) * line, "next to nothing is left empty"


class Foreign(nn.Module):
    """The same encoder behind another face, as one of transformers would be."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Any:
        return self.encoder(input_ids, attention_mask)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("face", [lambda encoder: encoder, Foreign])
def test_rows_give_and_learn_what_they_do_padded(pooling: str, face: Any, make_context: Make) -> None:
    context = make_context("classify", intents=8)
    encoder, head = context.backbone.encoder.eval(), Embed(pooling)
    arrays = context.backbone.modality.batch(context.train.windows, np.arange(50))
    assert len(set(arrays["attention_mask"].sum(1).tolist())) > 3
    inputs = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def told(model: nn.Module) -> list[Tensor]:
        vectors = model(**inputs)
        vectors[:, 0].sum().backward()
        moved = [one.grad for one in encoder.layers.parameters()]
        encoder.zero_grad(set_to_none=True)
        return [vectors, *moved]

    torch.testing.assert_close(told(Packed(face(encoder), head)), told(Model(encoder, head)), atol=1e-5, rtol=1e-4)


def test_lines_are_for_encoders_that_compute_padding(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context("classify", intents=8)
    encoder = context.backbone.encoder.eval()
    arrays = context.backbone.modality.batch(context.train.windows, np.arange(20))
    inputs = {name: torch.from_numpy(value) for name, value in arrays.items()}
    asked: list[int] = []
    monkeypatch.setattr(encoder, "in_lines", lambda *_: pytest.fail("rows were laid end to end"))
    monkeypatch.setattr(encoder, "skips_padding", lambda tokens: asked.append(tokens) or True)
    found = Packed(encoder, Embed("mean"))(**inputs)
    assert asked == [inputs["attention_mask"].shape[1]]
    torch.testing.assert_close(found, Model(encoder, Embed("mean"))(**inputs))
