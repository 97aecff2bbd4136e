"""What a method gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tunewright.backbones._catalogue import Found
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core.types import Array
from tunewright.train.updates import Factors


@dataclass(frozen=True)
class Crossed:
    """Training rows, answered by what was fitted on others, which their class is among.

    rows : int64 (s,), their places in the training part; logits : float32 (s, k)
    """

    rows: NDArray[np.int64]
    logits: Array


@dataclass
class Fitted:
    """What a method made.

    validation_logits : (n, k) on the validation part
    facts : what is to be told: strength, epochs, trainable parameters
    refit : fits the same thing on training and validation rows together, where that is cheap
    backbone, found : what encodes its rows, where that is not the context's backbone
    apart : (n, k) as ``validation_logits``, each row by what was fitted on others; None = they are that themselves
    crossed : training rows by cross-validation, where that was done anyway
    updates : layer → what was added to its weight in the backbone, where the encoder is the backbone but for these
    """

    method: str
    encoder: nn.Module
    head: nn.Module
    validation_logits: Array
    facts: dict[str, Any] = field(default_factory=dict)
    refit: Callable[[], Fitted] | None = None
    backbone: LoadedBackbone | None = None
    found: Found | None = None
    apart: Array | None = None
    crossed: Crossed | None = None
    updates: Mapping[str, Factors] = field(default_factory=dict)

    @property
    def judged(self) -> Array:
        """(n, k): the logits that it is compared by."""
        return self.validation_logits if self.apart is None else self.apart
