"""All parameters by gradient, the head started from the probe where the kind has one."""

from __future__ import annotations

from tunewright.methods import probe
from tunewright.train.context import Context
from tunewright.train.course import Model
from tunewright.train.fitted import Fitted
from tunewright.train.take import take


def fit(context: Context) -> Fitted:
    """Fine-tune encoder and head together."""
    head = probe.started_head(context)
    model = Model(context.copy_of_encoder(), head)
    best, facts = take(context, context.course("full", model), model)
    encoder = context.whole(model.encoder)
    size = sum(one.numel() for module in (encoder, head) for one in module.parameters())
    facts |= {"trainable_parameters": size, "bf16": context.bf16}
    return Fitted("full", encoder, head, best.outputs, facts)
