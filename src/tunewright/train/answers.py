"""What a fit answers without being made a bundle: the calibrated kind, and logits of any rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tunewright.core.types import Array, Kind
from tunewright.train import device
from tunewright.train.context import Context
from tunewright.train.examples import Columns
from tunewright.train.learn import learn
from tunewright.train.outputs import frozen
from tunewright.train.thresholds import even


@dataclass(frozen=True)
class Fresh:
    """A model that was just fitted.

    kind : calibrated on the validation part; ask : columns of n rows → logits (n, k); method : the one that was chosen
    """

    kind: Kind
    ask: Callable[[Columns], Array]
    method: str


def fresh(context: Context) -> Fresh:
    """Fit the task's method, or climb the ladder."""
    fitted, _ = learn(context, baseline=False)
    modality = (fitted.backbone or context.backbone).modality

    def ask(columns: Columns) -> Array:
        windows = modality.windows([columns[name] for name in context.task.inputs])
        with device.threads(context.task.fit.threads):
            pieces: list[Any] = frozen(fitted.encoder, fitted.head, modality, windows, context.device)
        device.give_back()
        return context.kind.gather(pieces, windows)

    truth = context.kind.encode(context.parts["validation"].truth)
    kind = even(context, context.kind.calibrate(fitted.validation_logits, truth), fitted.validation_logits, truth)
    return Fresh(kind, ask, fitted.method)
