"""What a bundle's network answers where the embeddings of a row's tokens are shifted along the gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunewright.train import gradients
from tunewright.train.rebuild import Rebuilt, rebuild

Shift = Callable[[Mapping[str, Sequence[Any]], NDArray[np.int64], Sequence[float]], NDArray[np.int64]]
"""Columns of n rows, the label each is answered with (n,), e lengths as shares of the row's own → labels then (e, n)"""


def shifter(folder: Path, target: str) -> Shift:
    """One step of the fast gradient method, of each row by itself.

    All embedded tokens of a row are one vector v; it is moved to v - ε ‖v‖ g / ‖g‖, g being the gradient of the
    log-odds of its answer.

    Raises
    ------
    TunewrightError
        The bundle has no gradients; see ``rebuild``.

    Source: Goodfellow et al. 2015, Explaining and Harnessing Adversarial Examples; on embeddings of words: Miyato et
    al. 2017, Adversarial Training Methods for Semi-Supervised Text Classification.
    """
    network = rebuild(folder)

    def shifted(
        columns: Mapping[str, Sequence[Any]], decided: NDArray[np.int64], lengths: Sequence[float]
    ) -> NDArray[np.int64]:
        rows = zip(*columns.values(), strict=True)
        found = [_answers(network, target, row, int(said), lengths) for row, said in zip(rows, decided, strict=True)]
        return np.stack(found, 1)

    return shifted


def _answers(
    network: Rebuilt, target: str, texts: Sequence[Any], said: int, lengths: Sequence[float]
) -> NDArray[np.int64]:
    row = gradients.read(network, ["" if text is None else str(text) for text in texts])
    vectors = gradients.embedded(network, row.ids)
    slope = _slope(network, target, row, vectors, said)
    with torch.no_grad():
        moved = torch.stack([vectors - length * vectors.norm() * slope for length in lengths])
        return np.asarray(gradients.scores(network, target, row, moved).argmax(1).numpy())


def _slope(network: Rebuilt, target: str, row: gradients.Read, vectors: Tensor, said: int) -> Tensor:
    """The gradient of the answer's log-odds by the row's own tokens, of length 1; 0 where there is none."""
    asked = vectors.detach()[None].requires_grad_()
    score = gradients.scores(network, target, row, asked)[0, said]
    (slope,) = torch.autograd.grad(score, asked)
    own: Tensor = slope[0] * torch.from_numpy(row.own).unsqueeze(-1)
    return torch.nn.functional.normalize(own.flatten(), dim=0).view_as(own)
