"""An ensemble distilled: the mean of the members, what is learnt from it against torch's own losses, what is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tunewright.core.errors import TunewrightError
from tunewright.core.task import read_task
from tunewright.heads.classify import ClassifyHead
from tunewright.heads.multilabel import MultilabelHead
from tunewright.heads.regress import RegressHead
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.methods import full, lora
from tunewright.train import take
from tunewright.train.ensemble import SHARE, as_logits, mean_answers, mix
from tunewright.train.learn import prepare
from tunewright.train.outputs import logits_of

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 2, "fit.learning_rate": 3e-3, "fit.batch_rows": 16, "fit.average": 0.0, "fit.patience": 9}
DRAWS = np.random.default_rng(3)
LABELS = ("a", "b", "c")


def drawn(*shape: int) -> Any:
    return DRAWS.normal(0, 2, shape).astype(np.float32)


def test_the_mean_is_that_of_calibrated_probabilities() -> None:
    logits = [drawn(7, 3), drawn(7, 3)]
    found = mean_answers([Classify(LABELS, 0.5), Classify(LABELS, 2.0)], logits)
    wanted = (torch.softmax(torch.tensor(logits[0]) / 0.5, -1) + torch.softmax(torch.tensor(logits[1]) / 2.0, -1)) / 2
    assert np.allclose(found, wanted.numpy(), atol=1e-6)
    both = [Multilabel(LABELS, (0.5,) * 3, one) for one in (1.0, 3.0)]
    wanted = (torch.sigmoid(torch.tensor(logits[0])) + torch.sigmoid(torch.tensor(logits[1]) / 3.0)) / 2
    assert np.allclose(mean_answers(both, logits), wanted.numpy(), atol=1e-6)
    numbers = [drawn(7, 1), drawn(7, 1)]
    assert np.allclose(mean_answers([Regress(1.0, 2.0)] * 2, numbers), (numbers[0] + numbers[1]) / 2)


@pytest.mark.parametrize("kind", [Classify(LABELS), Multilabel(LABELS, (0.5,) * 3), Regress(1.0, 2.0)])
def test_as_logits_they_mean_the_same(kind: Any) -> None:
    logits = drawn(9, kind.size)
    answers = mean_answers([kind], [logits])
    assert np.array_equal(kind.decide(as_logits(kind, answers)), kind.decide(answers if kind.size == 1 else logits))
    if kind.labels:
        assert np.allclose(kind.proba(as_logits(kind, answers)), answers, atol=1e-6)


def gradient(loss: Callable[[torch.Tensor], torch.Tensor], logits: Any) -> torch.Tensor:
    z = torch.tensor(logits, requires_grad=True)
    loss(z).sum().backward()
    assert z.grad is not None
    return z.grad


def test_classify_learns_half_cross_entropy_and_half_the_divergence_from_the_ensemble() -> None:
    logits, truth, taught = drawn(8, 3), DRAWS.integers(0, 3, 8), torch.softmax(torch.tensor(drawn(8, 3)), -1)
    mixed = torch.from_numpy(mix(Classify(LABELS), truth, taught.numpy().astype(np.float64)))
    assert mixed.dtype == torch.float32

    def wanted(z: torch.Tensor) -> torch.Tensor:
        hard = functional.cross_entropy(z, torch.tensor(truth), reduction="none")
        return (1 - SHARE) * hard + SHARE * functional.cross_entropy(z, taught, reduction="none")

    def apart(z: torch.Tensor) -> torch.Tensor:
        hard = functional.cross_entropy(z, torch.tensor(truth), reduction="none")
        soft = functional.kl_div(torch.log_softmax(z, -1), taught, reduction="none").sum(-1)
        return (1 - SHARE) * hard + SHARE * soft

    found = ClassifyHead.loss(torch.tensor(logits), mixed)
    assert torch.allclose(found, wanted(torch.tensor(logits)), atol=1e-6)
    grad = gradient(lambda z: ClassifyHead.loss(z, mixed), logits)
    assert torch.allclose(grad, gradient(apart, logits), atol=1e-6), "they differ by the entropy, which is constant"


def test_multilabel_and_numbers_learn_the_mixture_of_both_losses() -> None:
    logits, truth, taught = drawn(8, 3), DRAWS.integers(0, 2, (8, 3)).astype(np.uint8), torch.sigmoid(torch.randn(8, 3))
    mixed = torch.from_numpy(mix(Multilabel(LABELS, (0.5,) * 3), truth, taught.numpy().astype(np.float64)))
    losses = [
        functional.binary_cross_entropy_with_logits(torch.tensor(logits), one.float(), reduction="none").sum(-1)
        for one in (torch.from_numpy(truth), taught)
    ]
    found = MultilabelHead.loss(torch.tensor(logits), mixed)
    assert torch.allclose(found, (1 - SHARE) * losses[0] + SHARE * losses[1], atol=1e-5)

    kind, own, z = Regress(4.0, 3.0), DRAWS.normal(4, 3, 8), drawn(8, 1)
    head = RegressHead(4, kind, "mean")
    target = torch.from_numpy(mix(kind, own, z.astype(np.float64)))
    guess = torch.from_numpy(kind.decide(z))
    grad = gradient(lambda one: head.loss(one, target), drawn(8, 1) * 0 + 1.5)

    def both(one: torch.Tensor) -> torch.Tensor:
        return (1 - SHARE) * head.loss(one, torch.from_numpy(own)) + SHARE * head.loss(one, guess)

    assert torch.allclose(grad, gradient(both, drawn(8, 1) * 0 + 1.5), atol=1e-5)


@pytest.mark.parametrize("kind", ["classify", "multilabel", "regress"])
def test_one_model_ships_and_all_scores_are_told(kind: str, make_context: Make) -> None:
    context = make_context(kind, SETTINGS | {"fit.ensemble": 2})
    fitted = full.fit(context)
    told = fitted.facts
    assert len(told["member_scores"]) == 2
    assert told["members_mean"] == pytest.approx(np.mean(told["member_scores"]), abs=1e-6)
    scores = context.kind.row_score(fitted.validation_logits, context.validation.truth)
    assert told["distilled_score"] == pytest.approx(float(scores.mean()), abs=1e-6)
    shipped = logits_of(context, fitted.encoder, fitted.head, context.validation)
    assert np.allclose(shipped, fitted.validation_logits, atol=1e-4)
    plain = full.fit(make_context(kind, SETTINGS))
    sizes = [sum(one.numel() for one in made.encoder.parameters()) for made in (fitted, plain)]
    assert sizes[0] == sizes[1]
    said = [record["say"] for record in context.run.told if record["event"] == "ensemble"]
    scored = f"validation {context.kind.headline[0]} {told['ensemble_score']:.4f}"
    assert said == [f"full: an ensemble of 2, {scored}; now one model learns from it"]


def test_the_ensemble_is_scored_as_its_mean(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from tunewright.train import ensemble

    seen: list[Any] = []
    real = ensemble.mean_answers
    monkeypatch.setattr(ensemble, "mean_answers", lambda kinds, logits: seen.append(logits) or real(kinds, logits))
    context = make_context("classify", SETTINGS | {"fit.ensemble": 3})
    fitted = lora.fit(context)
    validation, training = seen
    truth = context.validation.truth
    proba = np.mean([context.kind.calibrate(one, truth).proba(one) for one in validation], axis=0)
    assert fitted.facts["ensemble_score"] == pytest.approx(np.mean(proba.argmax(-1) == truth))
    assert [one.shape for one in training] == [(len(context.train), context.kind.size)] * 3
    assert not np.array_equal(training[0], training[1]), "the members differ"


def test_objectives_stay_on_while_the_last_model_learns(make_context: Make) -> None:
    settings = SETTINGS | {"fit.ensemble": 2, "fit.epochs": 1, "fit.oversample": 0.5}
    names = {"label_smoothing": 0.1, "mixup": 0.4, "fgm": 0.3, "class_weight": 0.5}
    context = make_context("classify", settings | {f"objectives.{name}": value for name, value in names.items()})
    assert full.fit(context).facts["stopped"] == "epochs"


@pytest.mark.parametrize(
    ("flags", "kind", "said"),
    [
        ({"objectives.supcon": 0.1}, "classify", "teaches shares of labels, which objectives.supcon cannot compare"),
        ({}, "tag", "fit.ensemble = 2 does not fit kind 'tag' → leave it out; it fits classify, multilabel, regress"),
        ({"fit.method": "probe"}, "classify", "joins trainings by gradient, and method 'probe' solves for its head"),
    ],
)
def test_what_does_not_fit_is_said_before_any_training(flags: dict[str, Any], kind: str, said: str) -> None:
    task, _ = read_task(None, {"inputs.text": "text", "targets.0.column": "y", "fit.ensemble": 2, **flags})
    with pytest.raises(TunewrightError) as caught:
        take.check(task, kind)
    assert said in str(caught.value)


def test_prepare_asks(make_context: Make) -> None:
    context = make_context("classify", {"fit.soup": 2, "fit.method": "lexical"})
    with pytest.raises(TunewrightError, match="fit.soup = 2 joins trainings by gradient"):
        prepare(context.task, context.target, context.parts, "en", context.run)
