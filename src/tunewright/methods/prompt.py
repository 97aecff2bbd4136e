"""Trained vectors before the embedded tokens; they ship in the encoder. Source: Lester et al. 2021."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from tunewright.backbones._dropout import dropout
from tunewright.backbones._encoder import Encoder, summed, through
from tunewright.methods._partial import added_tensors, headed, shared_layers, trained
from tunewright.methods._tokens import drawn
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted

LENGTH = 16
RATE = 1e-2


class PromptedEncoder(Encoder):
    """An encoder that reads trained vectors before the tokens.

    The tokens keep their positions, and the states and the mask that come out are those of the tokens alone.

    prompt : (length, d), in place of the sum of word, position and type
    """

    def __init__(self, encoder: Encoder, prompt: Tensor) -> None:
        with torch.device("meta"):
            super().__init__(encoder.shape)
        for name, module in encoder.named_children():
            setattr(self, name, module)
        self.prompt = nn.Parameter(prompt)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """As ``Encoder``'s."""
        rows, length = input_ids.shape[0], self.prompt.shape[0]
        mask = attention_mask.to(torch.float32)
        states = torch.cat([self.prompt.expand(rows, -1, -1), summed(self, input_ids)], 1)
        tokens = states.shape[1]
        flat = self.norm(states).view(rows * tokens, self.width)
        flat = dropout(flat, self.shape.dropout, self.training)
        bias = functional.pad((1 - mask) * -1e4, (length, 0)).view(rows, 1, 1, tokens)
        flat = through(self.layers, flat, bias, self.recompute)
        return flat.view(rows, tokens, self.width)[:, length:], mask


def rebuilt(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Encoder:
    """The encoder with a prompt, into which a bundle's tensors fit."""
    return PromptedEncoder(encoder, torch.empty_like(tensors["prompt"]))


def fit(context: Context) -> Fitted:
    """Train ``fit.size`` vectors, which begin as real tokens, and the head."""
    length = context.task.fit.size or LENGTH
    backbone = shared_layers(context, "prompt")
    inputs, place = drawn(context, length)
    encoder = PromptedEncoder(backbone, summed(backbone, inputs["input_ids"]).flatten(0, 1)[place].detach())
    model = headed(context, encoder)
    facts = {"prompt_length": length, "added_tensors": added_tensors(context, encoder)}
    return trained(context, context.course("prompt", model, rate=RATE), model, **facts)
