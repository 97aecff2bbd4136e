"""Integrated gradients by captum: what each token adds on the way from blank tokens to the text, summed to its piece.

Source: Sundararajan, Taly and Yan 2017, Axiomatic Attribution for Deep Networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from captum.attr import IntegratedGradients
from numpy.typing import NDArray

from tunewright.core.errors import TunewrightError
from tunewright.runtime import explain
from tunewright.runtime.explainer import Asked, Explainer, Weighed
from tunewright.runtime.pieces import Cut
from tunewright.train import gradients
from tunewright.train.rebuild import REMEDY, rebuild

STEPS = 50
"""Points on the way, by Gauss-Legendre quadrature; each is one pass forward and back."""
AT_ONCE = 1024
"""Tokens in one pass."""
AGREES = 0.01
"""How far the rebuilt network may be from the graphs, in log-odds or in parts of the number."""


def integrated(folder: Path, seed: int | None = None) -> Explainer:
    """Integrated gradients of a bundle's network; see ``rebuild``."""
    network = rebuild(folder, seed)

    def weigh(model: Asked, one: Cut, target: str, explained: Sequence[int], seed: int) -> Weighed:
        row = gradients.read(network, one.texts)
        blank = torch.where(torch.from_numpy(row.own), network.modality.pad_id, row.ids)
        here, start = (gradients.embedded(network, ids)[None] for ids in (row.ids, blank))
        with torch.no_grad():
            ends = gradients.scores(network, target, row, torch.cat([here, start])).numpy()[:, list(explained)]
        _agree(folder, model, one, target, explained, ends[0])
        method = IntegratedGradients(lambda vectors: gradients.scores(network, target, row, vectors))
        places = shares(row.own, row.spans, _places(one, network.modality.separator))
        weights = []
        for at in explained:
            by_token = method.attribute(
                here, start, target=at, n_steps=STEPS, internal_batch_size=max(1, AT_ONCE // row.ids.numel())
            )
            weights.append(places @ by_token[0].sum(-1).detach().double().numpy()[row.own])
        return Weighed(np.stack(weights, 1), ends[1], STEPS)

    return Explainer("ig", lambda pieces: 3.0 * STEPS, weigh)


def shares(own: NDArray[np.bool_], spans: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 (p, o): which part of each of the row's o tokens belongs to each piece; the parts of a token sum to 1.

    A token belongs to the pieces that it covers, by characters; one that covers none, to the nearest.

    own : bool (m, t); spans : (m, t, 2); places : int64 (p, 2), where the pieces begin and end
    """
    start, stop = spans[own].T
    begin, end = places.T[:, :, None]
    covered = np.maximum(np.minimum(stop, end) - np.maximum(start, begin), 0).astype(np.float64)
    away = np.maximum(np.maximum(begin - stop, start - end), 0)
    alone = ~covered.any(0)
    covered[away.argmin(0)[alone], np.flatnonzero(alone)] = 1.0
    return np.asarray(covered / covered.sum(0))


def _places(one: Cut, separator: str) -> NDArray[np.int64]:
    """int64 (p, 2): where the pieces stand in the columns' texts joined."""
    starts = np.cumsum([0, *(len(text) + len(separator) for text in one.texts)])
    first = dict(zip(one.columns, starts.tolist(), strict=False))
    return np.array([(first[piece.column] + piece.start, first[piece.column] + piece.end) for piece in one.pieces])


def _agree(
    folder: Path, model: Asked, one: Cut, target: str, explained: Sequence[int], found: NDArray[np.float64]
) -> None:
    logits = model.logits_of([[text] for text in one.texts], [target])[target]
    wanted = explain.scores(model.kinds[target], logits)[0, list(explained)]
    if not np.allclose(found, wanted, rtol=AGREES, atol=AGREES):
        raise TunewrightError(
            f"{folder}: its weights say {found.round(3).tolist()} where its graphs say {wanted.round(3).tolist()}",
            REMEDY,
        )
