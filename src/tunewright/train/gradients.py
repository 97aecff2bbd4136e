"""What a rebuilt network answers as a function of its embedded tokens: what gradients by the tokens are taken of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunewright.core.types import Array, Kind
from tunewright.train.rebuild import Rebuilt

TINY = 1e-30


@dataclass(frozen=True)
class Read:
    """One row as the encoder reads it, in m windows.

    ids, mask : int64 (m, t)
    share : float32 (m,), the part that each window has in the row
    own : bool (m, t), tokens of the row itself: neither special, nor of the prefix, nor padding
    spans : int64 (m, t, 2), where a token stands in the row's text, its columns joined
    """

    ids: Tensor
    mask: Tensor
    share: Tensor
    own: NDArray[np.bool_]
    spans: NDArray[np.int64]


def read(network: Rebuilt, texts: Sequence[str]) -> Read:
    """One row; a text for each input column."""
    modality = network.modality
    windows = modality.windows([[text] for text in texts])
    arrays = modality.batch(windows, np.arange(len(windows)))
    ids, mask = arrays["input_ids"], arrays["attention_mask"]
    at, lengths = np.arange(ids.shape[1]), mask.sum(1, keepdims=True)
    own = (at >= len(modality.head)) & (at < lengths - len(modality.tail))
    assert windows.spans is not None
    spans, _ = windows.spans.padded(np.arange(len(windows)))
    share = torch.from_numpy(windows.share().astype(np.float32))
    return Read(torch.from_numpy(ids), torch.from_numpy(mask), share, own, spans.astype(np.int64))


def embedded(network: Rebuilt, ids: Tensor) -> Tensor:
    """Token ids (m, t) → rows of the word table (m, t, d), to which positions are still to be added."""
    return network.encoder.words(ids)  # type: ignore[operator, no-any-return]


def scores(network: Rebuilt, target: str, row: Read, vectors: Tensor) -> Tensor:
    """What the network says where the row's tokens are embedded so; of each of s variants.

    vectors : float32 (s, m, t, d), in place of ``embedded``

    Returns
    -------
    (s, k) log-odds of the calibrated probabilities, or (s, 1) the number.
    """
    variants, windows, tokens, width = vectors.shape
    flat = vectors.reshape(variants * windows, tokens, width)
    words = network.encoder.words
    hook = words.register_forward_hook(lambda module, given, out: flat)  # type: ignore[union-attr]
    try:
        states, mask = network.encoder(row.ids.repeat(variants, 1), row.mask.repeat(variants, 1))
    finally:
        hook.remove()
    logits = network.heads[target](states, mask).view(variants, windows, -1)
    gathered = (logits * row.share[None, :, None]).sum(1)
    return _scored(network.kinds[target], gathered)


def _scored(kind: Kind, logits: Tensor) -> Tensor:
    """logits (s, k) → as ``scores``."""
    factor, bias = (torch.from_numpy(one) for one in calibration(kind))
    scaled = logits.double() * factor + bias
    if kind.closed_form != "logistic":
        return scaled
    others = torch.eye(scaled.shape[1], dtype=torch.bool)
    rest = scaled[:, None].masked_fill(others, -torch.inf).logsumexp(-1)
    return scaled - rest


def calibration(kind: Kind) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and bias (k,) of each logit, whatever a kind's calibration is called: it is asked for the unit logits.

    For labels that exclude each other the biases are known up to what they have in common, which changes no
    probability.
    """
    asked = np.concatenate([np.zeros((1, kind.size)), np.eye(kind.size)])
    if kind.closed_form == "logistic":
        logs = np.log(np.maximum(kind.proba(asked), TINY))
        bias = logs[0]
        other = (np.arange(kind.size) + 1) % kind.size
        raised = np.array([logs[at + 1, at] - logs[at + 1, beside] for at, beside in enumerate(other.tolist())])
        return raised - (bias - bias[other]), bias
    told: Array = kind.log_odds(asked) if hasattr(kind, "log_odds") else np.asarray(kind.decide(asked))[:, None]
    return told[1:].diagonal() - told[0], told[0].astype(np.float64)
