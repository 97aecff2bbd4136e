"""Detectors of strange rows: what they keep of the training rows, and which one tells classes held out best."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.covariance import ledoit_wolf
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from tunewright.core.types import Array
from tunewright.kinds.classify import Classify
from tunewright.runtime.scope import BY_LOGITS, logarithms, strangeness

MOST_CENTRES, ROWS_OF_A_CENTRE = 2_000, 3
"""``nearest`` keeps means of neighbouring training vectors: so many at the most, each of so many on the average. They
tell strange rows as well as all single vectors do, and none of them is a row's own by design."""
TRIALS = 3
"""Draws of classes that are held out, to choose a detector by."""
HELD_OUT = 0.25
"""Of the classes in each of these."""
FEWEST_CLASSES = 4
STRENGTH = 30.0
"""Inverse regularisation of the heads in the trials; embeddings have length 1."""


@dataclass(frozen=True)
class Seen:
    """Rows as the bundle sees them. vectors : float32 (n, d), of length 1; truth : int64 (n,)"""

    vectors: Array
    truth: Array

    def of(self, rows: Array) -> Seen:
        """Some of them, by a mask."""
        return Seen(self.vectors[rows], self.truth[rows])


def kept(detector: str, train: Seen, kind: Classify, logits: Array, vectors: Array, seed: int) -> dict[str, Array]:
    """What a detector keeps of the training rows, as ``strangeness`` takes it; nothing, if it looks at logits alone.

    A class without a row has no centre.

    logits (n, k), vectors (n, d) : of known rows that the model did not learn from

    Source: Ren et al. 2021, A Simple Fix to Mahalanobis Distance for Improving Near-OOD Detection; Ledoit & Wolf 2004.
    """
    if detector in BY_LOGITS:
        return {}
    if detector == "mahalanobis":
        return _ellipses(train)
    rows = _centres(train.vectors, seed)
    if detector == "nearest":
        return {"rows": rows}
    known = logarithms(kind, logits, vectors, rows)
    return {"rows": rows, "spread": np.stack([known.mean(0), np.maximum(known.std(0), 1e-6)], 1).astype(np.float32)}


def _ellipses(train: Seen) -> dict[str, Array]:
    """The difference of two squared distances, to a class and to all rows, as one quadratic form."""
    vectors = train.vectors.astype(np.float64)
    classes, place = np.unique(train.truth, return_inverse=True)
    centres = np.stack([vectors[train.truth == at].mean(0) for at in classes])
    whole = vectors.mean(0)
    within = np.linalg.inv(_covariance(vectors - centres[place]))
    around = np.linalg.inv(_covariance(vectors - whole))
    linear, offset = centres @ within - whole @ around, (centres @ within * centres).sum(1) - whole @ around @ whole
    arrays = {"quadratic": within - around, "linear": linear, "offset": offset}
    return {name: value.astype(np.float32) for name, value in arrays.items()}


def _centres(vectors: Array, seed: int) -> NDArray[np.float16]:
    """float16 (m, d): centres of neighbouring vectors, of length 1."""
    count = max(1, min(MOST_CENTRES, len(vectors) // ROWS_OF_A_CENTRE))
    found = MiniBatchKMeans(count, n_init=1, max_iter=30, random_state=seed).fit(vectors).cluster_centers_
    unit = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit, np.float16)


def _covariance(centred: Array) -> NDArray[np.float64]:
    found: NDArray[np.float64] = ledoit_wolf(centred, assume_centered=True)[0]
    return np.asarray(found + 1e-9 * np.trace(found) / len(found) * np.eye(len(found)))


def best_detector(names: Sequence[str], train: Seen, validation: Seen, seed: int) -> tuple[str, dict[str, float]]:
    """The detector that tells validation rows of classes that it never saw from those of the others best.

    In each trial some classes are taken out of the training rows; a linear head and the detectors are fitted on the
    others. Where the vectors come from an encoder that was trained on all classes, those that look at vectors are
    judged too kindly.

    Returns
    -------
    Its name, and the mean area under the ROC curve of each; no areas where there are too few classes for a trial
    """
    found: dict[str, list[float]] = {name: [] for name in names}
    draw = np.random.default_rng(seed)
    classes = np.intersect1d(train.truth, validation.truth)
    for _ in range(TRIALS if len(classes) >= FEWEST_CLASSES else 0):
        out = draw.choice(classes, max(1, int(HELD_OUT * len(classes))), replace=False)
        rest = train.of(~np.isin(train.truth, out))
        labels, truth = np.unique(rest.truth, return_inverse=True)
        logits = _logits(rest.vectors, truth, validation.vectors)
        kind, unseen = Classify(tuple(map(str, labels))), np.isin(validation.truth, out)
        for name in names:
            seen = Seen(rest.vectors, truth)
            arrays = kept(name, seen, kind, logits[~unseen], validation.vectors[~unseen], seed)
            found[name].append(roc_auc_score(unseen, strangeness(name, kind, logits, validation.vectors, arrays)))
    areas = {name: round(float(np.mean(of)), 6) for name, of in found.items() if of}
    return max(areas, key=areas.__getitem__) if areas else names[-1], areas


def _logits(vectors: Array, truth: Array, asked: Array) -> NDArray[np.float64]:
    """(n, k) of a linear head that learnt from ``vectors``; of two classes both logits."""
    model = LogisticRegression(C=STRENGTH, max_iter=150, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = model.fit(vectors, truth).decision_function(asked)
    return np.stack([-scores, scores], 1) / 2 if scores.ndim == 1 else np.asarray(scores)
