"""Small judged models of each kind: how well they answer is set by the test."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tunewright.audit import Context, Folds, Training
from tunewright.core.task import Task
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress

Make = Callable[..., Context]


@pytest.fixture
def decided() -> Make:
    """A context of single labels from pairs of (truth, decided) by position, with scores if given."""

    def make(truth: Any, said: Any, scores: Any = None, k: int = 0, **more: Any) -> Context:
        truth, said = np.asarray(truth, np.int64), np.asarray(said, np.int64)
        k = k or int(max(truth.max(), said.max())) + 1
        score = np.full(len(truth), 0.9) if scores is None else np.asarray(scores, np.float64)
        proba = np.repeat(((1 - score) / max(k - 1, 1))[:, None], k, 1)
        proba[np.arange(len(said)), said] = score
        labels = more.pop("labels", tuple(f"c{at}" for at in range(k)))
        inputs = more.pop("inputs", {"text": [f"secret words of row {at}" for at in range(len(truth))]})
        logits = np.log(np.maximum(proba, 1e-12))
        return Context(Classify(labels), logits, truth, inputs, **more)

    return make


@pytest.fixture(params=["classify", "multilabel", "regress"])
def noisy(request: pytest.FixtureRequest) -> Context:
    """400 rows of each kind, answered with errors."""
    return make_noisy(request.param)


def make_noisy(kind: str, n: int = 400) -> Context:
    """With the same answers as those of four folds, those of a noisier model before it, and rules of review."""
    plain = _noisy(kind, n)
    fold = np.arange(n) % 4 + 1
    logits = plain.logits + np.random.default_rng(8).normal(0, 0.7, plain.logits.shape)
    rules = {"labels": ["a"], "below": 0.6, "slices": {"sevens": {"words": ["7", "77"]}}}
    plain = replace(plain, before=Context(plain.kind, logits, plain.truth), task=Task.model_validate({"review": rules}))
    return replace(plain, folds=Folds(plain.decided, plain.truth, fold, (300,) * 4, ("probe",) * 4, 4))


def _drawn(text: str, size: int) -> Any:
    """What a model that was never trained says of a text."""
    return np.random.default_rng(zlib.crc32(text.encode())).normal(0, 1.5, size)


def _noisy(kind: str, n: int) -> Context:
    draw = np.random.default_rng(7)
    more = {
        "inputs": {"text": [f"<b>secret</b> words of row {at}, said {'he' if at % 3 else 'she'}" for at in range(n)]},
        "ask": lambda columns: np.array(
            [_drawn(text, {"multilabel": 4, "classify": 4}.get(kind, 1)) for text in columns["text"]]
        ),
        "embed": lambda columns: np.stack([_drawn(text, 8) for text in columns["text"]]),
        "language": "en",
        "groups": {"gender": ["f" if at % 5 < 2 else "m" for at in range(n)]},
        "leaked": draw.random(n) < 0.1,
        "predictor": object(),
    }
    if kind == "regress":
        truth = draw.normal(5, 2, n)
        logits = ((truth - 5) / 2 + draw.normal(0, 0.5, n))[:, None]
        return Context(Regress(5.0, 2.0), logits, truth, train=Training({}, truth), **more)
    if kind == "multilabel":
        truths = (draw.random((n, 4)) < 0.3).astype(np.uint8)
        logits = draw.normal(0, 1.5, (n, 4)) + 3.0 * truths - 1.5
        known = (draw.random((n, 4)) < 0.3).astype(np.uint8)
        several = Multilabel(tuple("abcd"), (0.5,) * 4)
        several = several.promised(draw.normal(0, 1.5, (n, 4)) + 3.0 * known - 1.5, known)
        return Context(several, logits, truths, train=Training({}, truths), **more)
    labels = draw.integers(0, 4, n)
    logits = draw.normal(0, 1.0, (n, 4)) + 2.0 * np.eye(4)[labels]
    told = {"detector": "energy", "threshold": -2.0, "share": 0.05}
    one = Classify(tuple("abcd"), 1.1, scope=told)
    one = one.promised(2.0 * np.eye(4)[labels] + draw.normal(0, 1.0, (n, 4)), labels)
    strange = {"text": [f"strange words of row {at}" for at in range(50)]}
    return Context(one, logits, labels, train=Training({}, labels), strange=strange, **more)
