"""Whether a step keeps the activations of every layer for its way back, or computes them again there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array

LONG = 768
"""Tokens of a window from which on ``auto`` computes again: alone it keeps 90 MB a layer (MiniLM), and twice the tokens
four times that; shorter ones fit, since windows above ``feed.BROAD`` tokens are computed a few at a time."""
MANY = 5_000
"""Tokens of all windows that are computed together, from which on ``auto`` computes again: steps of ``contrastive``
have up to 20,000, and keep 0.2 MB for each (MiniLM). Others are cut into pieces of fewer."""


class Recompute:
    """What of a model can compute its layers again (it has an attribute ``recompute`` that is not None), and when.

    setting : ``auto`` (for windows of ``LONG`` tokens and more, for ``MANY`` tokens at once, and for all once memory
        ran out), ``on`` or ``off``

    Raises
    ------
    TunewrightError
        It is ``on``, but nothing in the model can.
    """

    def __init__(self, setting: str, model: nn.Module) -> None:
        self._able: list[Any] = [one for one in model.modules() if getattr(one, "recompute", None) is not None]
        self._setting = setting
        if setting == "on" and not self._able:
            raise TunewrightError(
                "fit.recompute = 'on': the model to be trained has no layers that can be computed again",
                "leave it out; smaller windows (fit.max_tokens) need less memory too",
            )

    def insist(self) -> bool:
        """From now on for every window; false where that changes nothing or was forbidden."""
        if self._setting != "auto" or not self._able:
            return False
        self._setting = "on"
        return True

    @contextmanager
    def of_windows(self, tokens: Array) -> Iterator[None]:
        """Inside, layers are computed again if windows of so many tokens, (m,), ask for it together."""
        much = bool(tokens.max(initial=0) >= LONG or tokens.sum() >= MANY)
        on = self._setting == "on" or (self._setting == "auto" and much)
        for one in self._able:
            one.recompute = on
        try:
            yield
        finally:
            for one in self._able:
                one.recompute = False
