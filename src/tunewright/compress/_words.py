"""A table of token vectors from what a bundle says of each token alone: where a static model begins.

Source: model2vec (Tulkens and van Dongen 2024), which passes each token through a sentence encoder, reduces the vectors
by PCA and weighs them by how rare the token is; Arora, Liang and Ma 2017 (ICLR), A Simple but Tough-to-Beat Baseline
for Sentence Embeddings, for the weights (SIF).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from tunewright.backbones._static import TokenMean
from tunewright.core.types import Array, Ragged, Windows
from tunewright.modalities.text import Text
from tunewright.runtime.predictor import Predictor

MOST_TOKENS = 2**14
"""Tokens that are asked for at the most, those of the rows first: each is one pass of the encoder."""
MOST_WIDTH = 256
RARE = 1e-3
"""The a of SIF: a token of this frequency weighs half."""


def table_of(predictor: Predictor, counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 (v, d): one vector for each token of the bundle's tokenizer; tokens that were not asked for have zeros.

    counts : int64 (v,), how often each token stands in the rows
    """
    order = np.argsort(-counts, kind="stable")
    asked = np.sort(order[:MOST_TOKENS])
    vectors = _alone(predictor, asked)
    table = np.zeros((len(counts), min(MOST_WIDTH, *vectors.shape)), np.float32)
    table[asked] = _main_axes(vectors, counts[asked], table.shape[1]) * _rarity(counts)[asked, None]
    return table


def counts_of(modality: Text, columns: list[list[str]]) -> NDArray[np.int64]:
    """How often each token of the tokenizer stands in the rows."""
    tokens = modality.windows(columns).data["input_ids"]
    assert isinstance(tokens, Ragged)
    return np.bincount(tokens.values, minlength=modality.tokenizer.get_vocab_size())


def encoder_of(table: NDArray[np.float32], modality: Text) -> TokenMean:
    """The encoder with this table; what stands in every window has no say."""
    table = table.copy()
    table[[*modality.head, *modality.tail, modality.pad_id]] = 0
    return TokenMean.of(torch.from_numpy(table))


def _alone(predictor: Predictor, tokens: NDArray[np.int64]) -> Array:
    """float32 (u, d): the embedding of each token as a text of its own."""
    modality = predictor.modality
    assert isinstance(modality, Text)
    ids = Ragged.of([[*modality.head, token, *modality.tail] for token in tokens.tolist()])
    windows = Windows(len(tokens), np.arange(len(tokens)), ids.lengths, {"input_ids": ids})
    return np.stack(predictor.run(windows, ["embed"])["embed"])


def _main_axes(vectors: Array, counts: NDArray[np.int64], width: int) -> Array:
    """The vectors along their main axes, (u, width); tokens that the rows have count twice in what the axes are."""
    centred = vectors - vectors[counts > 0].mean(0) if (counts > 0).any() else vectors - vectors.mean(0)
    spread = centred.T @ (centred * (1 + (counts > 0))[:, None])
    _, axes = np.linalg.eigh(spread.astype(np.float64))
    return np.asarray(centred @ axes[:, ::-1][:, :width], np.float32)


def _rarity(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """(v,): the weight of each token."""
    share = counts / max(1, counts.sum())
    return np.asarray(RARE / (RARE + share), np.float32)
