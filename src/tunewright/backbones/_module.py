"""An encoder whose network is a module of transformers; the library itself is only needed to read it."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class ModuleEncoder(nn.Module):
    """Token ids → token states, by a module of transformers.

    model : gives ``last_hidden_state`` (b, t, d)
    """

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__()
        self.model = model
        self.width = width

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """input_ids, attention_mask : int64 (b, t), padded on the right → states (b, t, d), mask float32 (b, t)."""
        states = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        return states, attention_mask.to(torch.float32)

    @property
    def words(self) -> nn.Embedding:
        """The word table."""
        return self.model.get_input_embeddings()  # type: ignore[operator, no-any-return]

    @property
    def recompute(self) -> bool | None:
        """Whether the activations of each layer are computed again on the way back; None: this module cannot."""
        layers = self._layers()
        return any(one.gradient_checkpointing for one in layers) if layers else None

    @recompute.setter
    def recompute(self, on: bool) -> None:
        # The library's own switch also puts a hook on the word table each time, which is never taken off again.
        for one in self._layers():
            one.gradient_checkpointing = on
            one._gradient_checkpointing_func = partial(checkpoint, use_reentrant=False)

    def _layers(self) -> list[Any]:
        return [one for one in self.model.modules() if hasattr(one, "gradient_checkpointing")]
