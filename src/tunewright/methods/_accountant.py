"""What differential privacy costs: how much noise an ε asks for, and which ε was spent, by the accountant of opacus.

Source: Mironov 2017, Rényi Differential Privacy; Mironov, Talwar and Zhang 2019, Rényi Differential Privacy of the
Sampled Gaussian Mechanism (each row is drawn by itself, with the same chance in each step).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tunewright.core.errors import MissingExtra, TunewrightError

LEAST = 0.3
"""Noise below it protects nothing that is worth the name."""


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """σ, the noise in units of the clipping norm, with which ``steps`` steps spend at most ``epsilon``.

    rate : chance of each row to be in a step

    Raises
    ------
    MissingExtra
        opacus is not installed.
    TunewrightError
        No noise is enough.
    """
    with _opacus() as opacus:
        try:
            found = opacus.utils.get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=rate,
                steps=steps,
                accountant="rdp",
                epsilon_tolerance=min(0.01, epsilon / 100),
            )
        except ValueError:
            raise TunewrightError(
                f"privacy.epsilon = {epsilon:g} with delta = {delta:g} cannot be kept over {steps} steps",
                "allow a larger epsilon or delta",
            ) from None
    return max(float(found), LEAST)


def spent(noise: float, rate: float, steps: int, delta: float) -> float:
    """ε after so many steps; 0 after none."""
    if not steps:
        return 0.0
    with _opacus() as opacus:
        accountant = opacus.RDPAccountant()
        accountant.history = [(noise, rate, steps)]
        return float(accountant.get_epsilon(delta))


@contextmanager
def _opacus() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a bound could be tighter with other orders; what it says of torch
        try:
            from opacus import accountants
            from opacus.accountants import utils  # noqa: F401 - a module that the package does not import by itself
        except ModuleNotFoundError as error:
            raise MissingExtra("privacy.epsilon", error.name or "opacus", "private") from None
        yield accountants
