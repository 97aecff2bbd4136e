"""The last layers by gradient, on cached states of the lower ones; the head started from the probe."""

from __future__ import annotations

from tunewright.methods import probe
from tunewright.methods._states import kept_bytes, states_feed, upper
from tunewright.train.context import Context
from tunewright.train.course import Model
from tunewright.train.fitted import Fitted
from tunewright.train.take import take

LAYERS = 2
RATE = 1e-4


def fit(context: Context) -> Fitted:
    """Fine-tune the last ``fit.layers`` layers and the head; word table and lower layers are as they were.

    Source: Lee et al. 2019, What Would Elsa Do? Freezing Layers During Transformer Fine-Tuning.
    """
    part = upper(context, "top", context.task.fit.layers or LAYERS)
    head = probe.started_head(context)
    judged = states_feed(context, part, context.validation, learnt=False)
    feed = states_feed(context, part, context.train, learnt=True)
    model = Model(part, head)
    best, facts = take(context, context.course("top", model, rate=RATE, feed=feed, judged=judged), model)
    facts |= {"layers": len(part.above.layers), "depth": part.depth, "cached_bytes": kept_bytes(feed, judged)}
    return Fitted("top", part.whole, head, best.outputs, {**facts, "bf16": context.bf16})
