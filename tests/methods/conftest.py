"""What the tests of methods share: trainings whose last values are kept, encoders of another make, whole fits."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tunewright
from tunewright import samples
from tunewright.core import plugins
from tunewright.methods import _partial, probe
from tunewright.train import checkpoint
from tunewright.train.context import Context
from tunewright.train.course import Course
from tunewright.train.fitted import Fitted
from tunewright.train.outputs import frozen

TEXTS = ["where is my parcel?", "please cancel the order that i placed this morning", "thanks", "我的包裹在哪里"]


@pytest.fixture
def last_is_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each judgement counts as better than the one before: on a random backbone little is gained."""
    take, scores = _partial.take, itertools.count()

    def rising(context: Context, course: Course, model: Any) -> Any:
        return take(context, replace(course, judge=lambda one: (float(next(scores)), course.judge(one)[1])), model)

    monkeypatch.setattr(_partial, "take", rising)


@pytest.fixture
def resumed(
    make_context: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Fitted, Fitted]]:
    """A method's fit that nothing cut short, and one that was killed after so many steps and went on."""

    def fits(method: Any, settings: Any, died_after: int) -> tuple[Fitted, Fitted]:
        whole = method.fit(make_context("classify", settings))
        monkeypatch.setattr(checkpoint.Checkpoints, "due", True)
        killed, continued = (make_context("classify", settings) for _ in range(2))
        continued.run.work = killed.run.work
        listen, steps = killed.run._listener, itertools.count(1)

        def dies(record: dict[str, Any]) -> None:
            listen(record)  # type: ignore[misc]
            if record["event"] == "progress" and record["stage"] == "train" and next(steps) > died_after:
                raise ConnectionError("killed")

        killed.run._listener = dies
        with pytest.raises(ConnectionError, match="killed"):
            method.fit(killed)
        again = method.fit(continued)
        told = " ".join(record.get("say", "") for record in continued.run.told)  # type: ignore[attr-defined]
        assert f"goes on after step {died_after}" in told
        return whole, again

    return fits


class Other(torch.nn.Module):
    """An encoder of another make: attention and feed-forward from the library, one linear layer of its own."""

    def __init__(self, words: int, own: bool, width: int = 32) -> None:
        super().__init__()
        self.width = width
        self.words = torch.nn.Embedding(words, width)
        self.layer = torch.nn.TransformerEncoderLayer(width, 2, 64, batch_first=True)
        self.last = torch.nn.Linear(width, width) if own else torch.nn.Identity()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        states = self.layer(self.words(input_ids), src_key_padding_mask=attention_mask == 0)
        return self.last(states), attention_mask.float()


@pytest.fixture
def with_other(make_context: Callable[..., Context]) -> Callable[..., Context]:
    """A context whose encoder is an ``Other``, with a linear layer of its own or without."""

    def make(own: bool = True, **settings: Any) -> Context:
        context = make_context("classify", {"fit.epochs": 1, "fit.batch_rows": 16} | settings)
        torch.manual_seed(0)
        other = Other(context.backbone.encoder.words.num_embeddings, own)  # type: ignore[union-attr, arg-type]
        context.backbone = replace(context.backbone, encoder=other)
        return context

    return make


@pytest.fixture
def ship(
    tiny_backbone: Path, traced_once: None, last_is_best: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Fits a bundle by a method, and checks that what is loaded says what was trained."""

    def make(method: str) -> Path:
        module = plugins.load("methods", method)
        made: list[tuple[Context, Fitted]] = []

        def fit(context: Context, fit: Any = module.fit) -> Fitted:
            made.append((context, fit(context)))
            return made[-1][1]

        monkeypatch.setattr(module, "fit", fit)
        own = {"fit.backbone": str(tiny_backbone), "fit.method": method, "fit.epochs": 1, "fit.average": 0.0}
        own |= {"fit.learning_rate": 2e-2, "fit.precision": "fp32", "fit.threads": 1}
        out = tmp_path / method
        test = samples.path("support_test.csv")
        tunewright.fit(samples.path("support_train.csv"), test=test, text="text", label="intent", out=out, settings=own)
        ((context, fitted),) = made
        assert fitted.facts["best_step"] > 0
        windows = context.backbone.modality.windows([TEXTS])
        pieces = frozen(fitted.encoder, fitted.head, context.backbone.modality, windows, context.device)
        trained, before = np.stack(pieces), probe_logits(context, windows)
        np.testing.assert_allclose(tunewright.load(out).logits(TEXTS)["intent"], trained, atol=1e-4)
        assert np.abs(trained - before).max() > 1e-2, "the training has changed what is said"
        return out

    return make


def probe_logits(context: Context, windows: Any) -> np.ndarray[Any, Any]:
    backbone, head = context.backbone, (context.start or probe.fit(context)).head
    return np.stack(frozen(backbone.encoder, head, backbone.modality, windows, context.device))
