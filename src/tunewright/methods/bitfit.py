"""The biases alone, those of the norms among them. Source: Ben Zaken et al. 2021."""

from __future__ import annotations

from tunewright.core.errors import TunewrightError
from tunewright.methods._partial import headed, shared, thaw, trained
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted

RATE = 1e-3


def fit(context: Context) -> Fitted:
    """Train every bias of the encoder, and the head."""
    encoder = shared(context)
    if not thaw(encoder, lambda name: name.rpartition(".")[2] == "bias"):
        raise TunewrightError(
            f"method 'bitfit' does not fit this encoder ({type(encoder).__name__}): it has no biases",
            "use --method full",
        )
    model = headed(context, encoder)
    return trained(context, context.course("bitfit", model, rate=RATE), model)
