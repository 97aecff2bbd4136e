"""FGM: a second pass with the embeddings of tokens moved to where the loss rises fastest. Source: Miyato et al. 2017.

Shift of each row, over all its tokens: ε g / |g|, g being the gradient of the first pass. The gradients of both passes
are added. ε is in units of the word table; a step takes twice as long.
"""

from __future__ import annotations

from torch import Tensor, nn

from tunewright.objectives._adversarial import shifted, unit
from tunewright.train.context import Context
from tunewright.train.step import Piece, Step

RANGE = (0.0, 10.0)
KINDS = None
NEEDS = ("words",)
NOT_WITH = ("pgd",)


def wrap(step: Step, strength: float, context: Context) -> Step:
    """strength : ε, the norm of a row's shift"""

    def attacked(model: nn.Module, piece: Piece) -> Tensor:
        clean, gradients = shifted(step, model, piece)
        moved, _ = shifted(step, model, piece, [strength * unit(one) for one in gradients])
        return clean + moved

    return attacked
