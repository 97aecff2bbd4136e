"""The probe: its strength, its solvers against scikit-learn's own predictions, and classes that a fold lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge

from tunewright.core.errors import TunewrightError
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.methods import _strength, probe
from tunewright.train import affordable

Make = Callable[..., Any]


def clusters(classes: int, rows: int = 120, seed: int = 0, noise: float = 0.6) -> tuple[NDArray[Any], NDArray[Any]]:
    """Unit vectors of width 12 around one direction per class."""
    draws = np.random.default_rng(seed)
    truth = np.arange(rows) % classes
    vectors = draws.normal(size=(classes, 12))[truth] / 3 + noise * draws.normal(size=(rows, 12))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("strength", [1.0, 100.0])
def test_the_solver_predicts_as_scikit_learn_does(classes: int, strength: float) -> None:
    embeddings, truth = clusters(classes)
    weight, bias = probe._logistic(embeddings, truth, classes, strength)
    own = Classify(tuple(map(str, range(classes)))).proba(embeddings @ weight.T + bias)
    theirs = LogisticRegression(C=strength, max_iter=probe.ITERATIONS, tol=probe.TOLERANCE).fit(embeddings, truth)
    exact = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit(embeddings, truth)
    assert weight.shape == (classes, 12)
    np.testing.assert_allclose(own, theirs.predict_proba(embeddings), atol=1e-5)
    np.testing.assert_allclose(own, exact.predict_proba(embeddings), atol=1e-2)


def test_classes_that_the_rows_lack_are_never_decided() -> None:
    embeddings, truth = clusters(3)
    for present in ([0, 2], [1], [0, 1]):
        rows = np.isin(truth, present)
        weight, bias = probe._logistic(embeddings[rows], truth[rows], 4, 10.0)
        logits = embeddings @ weight.T + bias
        assert set(logits.argmax(1)) <= set(present)
        absent = np.setdiff1d(range(4), present)
        assert (np.exp(logits - logits.max(1, keepdims=True))[:, absent] < 0.2).all()


def test_two_classes_of_many_predict_as_two_alone() -> None:
    embeddings, truth = clusters(2)
    weight, bias = probe._logistic(embeddings, truth + 1, 4, 10.0)
    alone = probe._logistic(embeddings, truth, 2, 10.0)
    np.testing.assert_allclose(weight[1:3], alone[0])
    np.testing.assert_allclose(bias[1:3], alone[1])


def test_multilabel_is_one_binary_model_per_label() -> None:
    embeddings, truth = clusters(3)
    labels = np.stack([truth == 0, truth != 1, np.ones(len(truth))], 1).astype(np.uint8)
    weight, bias = probe._logistic_per_label(embeddings, labels, 3, 30.0)
    proba = Multilabel(("a", "b", "c"), (0.5,) * 3).proba(embeddings @ weight.T + bias)
    for at in (0, 1):
        theirs = LogisticRegression(C=30.0, max_iter=probe.ITERATIONS, tol=probe.TOLERANCE)
        expected = theirs.fit(embeddings, labels[:, at]).predict_proba(embeddings)[:, 1]
        np.testing.assert_allclose(proba[:, at], expected, atol=1e-5)
    assert (proba[:, 2] > 0.99).all(), "a label that every row has"


def test_ridge_predicts_as_scikit_learn_does_on_standardised_numbers() -> None:
    embeddings, truth = clusters(4)
    numbers = truth * 50.0 + 1000
    kind = Regress(float(numbers.mean()), float(numbers.std()))
    weight, bias = probe._ridge(embeddings, numbers, 1, 30.0)
    own = kind.decide(embeddings @ weight.T + bias)
    theirs = Ridge(alpha=1 / 30.0).fit(embeddings, (numbers - kind.mean) / kind.scale).predict(embeddings)
    np.testing.assert_allclose(own, theirs * kind.scale + kind.mean, rtol=1e-4)


def test_the_strength_is_the_best_of_those_tried_and_the_climb_ends_where_the_score_falls() -> None:
    embeddings, truth = clusters(3, noise=1.0)
    kind = Classify(("a", "b", "c"))
    strength, scores, _ = _strength.choose_strength(embeddings, truth, kind, probe._logistic, 0)
    tried = [float(one) for one in scores]
    first = _strength.STRENGTHS.index(tried[0])
    assert tried == list(_strength.STRENGTHS[first : first + len(tried)])
    assert _strength.STRENGTHS[len(_strength.STRENGTHS) // 2] in tried
    assert scores[f"{strength:g}"] == max(scores.values())
    assert strength == min(one for one in tried if scores[f"{one:g}"] == max(scores.values()))


def test_the_climb_as_a_formula() -> None:
    """A made solver whose score is known for each strength: from 10 it falls on both sides, so 100 is never tried."""
    quality = {1.0: 0.2, 3.0: 0.5, 10.0: 0.9, 30.0: 0.8, 100.0: 1.0}
    embeddings, truth = np.eye(60, 12, dtype=np.float32), np.arange(60) % 2
    kind = Classify(("a", "b"))
    asked = []

    def solver(vectors: Any, labels: Any, size: int, strength: float) -> Any:
        asked.append(strength)
        return np.full((2, 12), strength), np.zeros(2)

    class Judged:
        size = 2

        @staticmethod
        def row_score(logits: Any, truth: Any) -> Any:
            return np.full(len(truth), quality[asked[-1]])

    strength, scores, _ = _strength.choose_strength(embeddings, truth, Judged(), solver, 0)  # type: ignore[arg-type]
    assert (strength, list(scores)) == (10.0, ["3", "10", "30"])
    assert asked == [one for one in (10.0, 30.0, 3.0) for _ in range(_strength.FOLDS)]
    assert _strength.choose_strength(embeddings, truth, kind, solver, 0, lambda: True)[1].keys() == {"10"}
    quality |= {10.0: 0.9, 30.0: 0.9, 3.0: 0.9, 1.0: 0.8}
    assert _strength.choose_strength(embeddings, truth, Judged(), solver, 0)[0] == 3.0  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_too_few_rows_for_folds_take_the_middle_strength(rows: int) -> None:
    embeddings, truth = clusters(2, rows)
    strength, scores, _ = _strength.choose_strength(embeddings, truth, Classify(("a", "b")), probe._logistic, 0)
    assert (strength, scores) == (_strength.STRENGTHS[len(_strength.STRENGTHS) // 2], {})


def test_classes_with_fewer_rows_than_folds_take_the_middle_strength() -> None:
    embeddings, _ = clusters(2, 8)
    kind = Classify(tuple("abcdefgh"))
    strength, scores, _ = _strength.choose_strength(embeddings, np.arange(8), kind, probe._logistic, 0)
    assert (strength, scores) == (_strength.STRENGTHS[len(_strength.STRENGTHS) // 2], {})


def test_a_class_with_one_row_is_no_obstacle() -> None:
    embeddings, truth = clusters(2, 30)
    truth[0] = 2
    strength, scores, _ = _strength.choose_strength(embeddings, truth, Classify(("a", "b", "c")), probe._logistic, 0)
    assert strength in _strength.STRENGTHS
    assert scores


def test_the_search_looks_at_a_sample_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_strength, "SEARCH_ROWS", 30)
    seen = []

    def solver(vectors: Any, labels: Any, size: int, strength: float) -> Any:
        seen.append(len(vectors))
        return probe._logistic(vectors, labels, size, strength)

    _strength.choose_strength(*clusters(2), Classify(("a", "b")), solver, 0)
    assert set(seen) == {20}


def test_rows_are_answered_by_folds_without_them() -> None:
    embeddings, truth = clusters(3, noise=1.0)
    kind = Classify(("a", "b", "c"))
    chosen = _strength.choose_strength(embeddings, truth, kind, probe._logistic, 0)
    assert chosen.crossed is not None
    rows, logits = chosen.crossed.rows, chosen.crossed.logits
    assert sorted(rows) == list(range(len(truth)))
    right = kind.row_score(logits, truth[rows]).mean()
    assert right == pytest.approx(chosen.scores[f"{chosen.strength:g}"], abs=1e-6)
    learn, judge = next(iter(_strength._folds(truth[rows], 0)))
    weights = probe._logistic(embeddings[rows][learn], truth[rows][learn], 3, chosen.strength)
    np.testing.assert_allclose(logits[judge], _strength.linear(embeddings[rows][judge], weights), atol=1e-5)
    assert _strength.choose_strength(embeddings[:4], truth[:4], kind, probe._logistic, 0).crossed is None


def test_a_row_is_not_answered_by_a_fold_that_did_not_learn_its_class() -> None:
    """Such an answer is as wrong as can be, whatever the method is worth; one of them once spoilt a blend."""
    embeddings, truth = clusters(3, noise=1.0)
    alone = int(np.flatnonzero(truth == 2)[0])
    picked = np.array([*np.flatnonzero(truth < 2), alone])
    chosen = _strength.choose_strength(embeddings[picked], truth[picked], Classify(("a", "b", "c")), probe._logistic, 0)
    assert chosen.crossed is not None
    assert sorted(chosen.crossed.rows) == list(range(len(picked) - 1))


def test_it_learns(make_context: Make) -> None:
    context = make_context(intents=8)
    fitted = probe.fit(context)
    chance = np.bincount(context.validation.truth).max() / len(context.validation)
    assert context.kind.row_score(fitted.validation_logits, context.validation.truth).mean() > chance + 0.1
    assert fitted.facts["cross_validation"][f"{fitted.facts['strength']:g}"] > chance


def test_fitting_again_uses_both_parts(make_context: Make) -> None:
    context = make_context()
    fitted = probe.fit(context)
    assert fitted.refit is not None
    again = fitted.refit()
    both = np.concatenate([context.train_embeddings, context.validation_embeddings])
    truth = np.concatenate([context.train.truth, context.validation.truth])
    weight, bias = probe._logistic(both, truth, context.kind.size, fitted.facts["strength"])
    np.testing.assert_allclose(again.head.state_dict()["pooled.linear.weight"], weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(again.head.state_dict()["pooled.linear.bias"], bias, rtol=1e-4, atol=1e-5)


def test_a_kind_without_closed_form_is_refused(make_context: Make) -> None:
    context = make_context()

    class Open(Classify):
        closed_form = None

    context.kind = Open(context.kind.labels)
    with pytest.raises(TunewrightError, match="method 'probe' does not fit kind 'classify' → use --method full"):
        probe.fit(context)


@pytest.mark.parametrize(("minutes", "drawn"), [(60.0, False), (1e-6, True)])
def test_of_many_rows_as_many_are_embedded_as_half_of_the_time_allows(
    minutes: float, drawn: bool, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(affordable, "FEW_ROWS", 50)
    context = make_context("classify", {"fit.minutes": minutes})
    fitted = probe.fit(context)
    rows = len(context.train)
    assert context.train_embeddings.shape[0] == (50 if drawn else rows)
    assert (fitted.crossed is None) == drawn, "rows that were drawn have other places"
    said = f"embedding 50 rows drawn from {rows}: all of them would take most of the time"
    assert any(said in one.get("say", "") for one in context.run.told) == drawn
    assert fitted.refit is not None
    assert fitted.refit().validation_logits.shape == fitted.validation_logits.shape
