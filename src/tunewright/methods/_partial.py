"""What methods share that leave the backbone's tensors frozen and train a few of them, or tensors that they add."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from tunewright.backbones._encoder import Encoder
from tunewright.core.errors import TunewrightError
from tunewright.methods import probe
from tunewright.train.context import Context
from tunewright.train.course import Course, Model
from tunewright.train.fitted import Fitted
from tunewright.train.take import take


def shared(context: Context) -> nn.Module:
    """A frozen copy of the encoder whose parameters lie in the backbone's own memory: nothing is copied.

    What is added to it is drawn from the task's seed.
    """
    encoder = context.backbone.encoder
    frozen = {id(one): nn.Parameter(one.detach(), requires_grad=False) for one in encoder.parameters()}
    torch.manual_seed(context.task.seed)
    return copy.deepcopy(encoder, frozen)


def shared_layers(context: Context, method: str) -> Encoder:
    """As ``shared``, for methods that must know how the encoder's layers are made.

    Raises
    ------
    TunewrightError
        It is an encoder of another make.
    """
    encoder = context.backbone.encoder
    if not isinstance(encoder, Encoder):
        raise TunewrightError(
            f"method {method!r} does not fit backbone {context.found.name!r}: "
            f"its encoder ({type(encoder).__name__}) is not one of the BERT family",
            "use --method lora or --method full",
        )
    return shared(context)  # type: ignore[return-value]


def thaw(encoder: nn.Module, picked: Callable[[str], bool]) -> int:
    """Let the parameters whose names are ``picked`` move, each in memory of its own; returns how many they are."""
    count = 0
    for name, one in encoder.named_parameters():
        if picked(name):
            one.data = one.data.clone()
            one.requires_grad_()
            count += 1
    return count


def headed(context: Context, encoder: nn.Module) -> Model:
    """The encoder with a head that starts from the probe, where the kind has one."""
    return Model(encoder, probe.started_head(context))


def trained(context: Context, course: Course, model: Model, **facts: Any) -> Fitted:
    """Take the course; ``facts`` are told beside those that every such method tells."""
    best, told = take(context, course, model)
    moving = sum(one.numel() for one in model.encoder.parameters() if one.requires_grad)
    sizes = {"encoder_parameters": moving, "head_parameters": told["trainable_parameters"] - moving}
    facts = {**told, **sizes, **facts, "bf16": context.bf16}
    return Fitted(course.name, model.encoder, model.head, best.outputs, facts)


def added_tensors(context: Context, encoder: nn.Module) -> int:
    """How many tensors ship beyond those of the backbone."""
    return len(encoder.state_dict()) - len(context.backbone.encoder.state_dict())
