"""How a bundle comes to say "I do not know": checks before the fit, calibration, and the choice of a detector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewright.core.errors import TunewrightError
from tunewright.kinds._promised_labels import LabelPromise
from tunewright.train.detector import Seen, best_detector
from tunewright.train.examples import Part
from tunewright.train.fitted import Fitted
from tunewright.train.scopes import scoped
from tunewright.train.unsure import calibrated, check, fewest

Make = Callable[..., Any]


def refused(context: Any, rows: int) -> str:
    with pytest.raises(TunewrightError) as caught:
        check(context.task, context.task.targets, Part({"text": ["a"] * rows}, ["x"] * rows))
    return str(caught.value)


def test_too_few_validation_rows_for_the_rate_stop_the_fit(make_context: Make) -> None:
    context = make_context(settings={"unsure.error": 0.05})
    assert "unsure.error = 0.05 needs 19 validation rows; there are 18 → set split.validation higher" in refused(
        context, 18
    )
    check(context.task, context.task.targets, Part({}, ["x"] * 19))
    assert fewest(0.1) == 9
    assert "unsure.out_of_scope = 0.01 needs 99" in refused(make_context(settings={"unsure.out_of_scope": 0.01}), 98)


def test_a_task_without_a_target_of_single_labels_cannot_ask_for_it(make_context: Make) -> None:
    context = make_context("regress", {"unsure.error": 0.05})
    assert "unsure.error needs a target of kind classify or multilabel, not regress → leave it out" in refused(
        context, 100
    )
    check(make_context("regress").task, context.task.targets, Part({}, []))


def fitted(context: Any) -> Fitted:
    logits = np.random.default_rng(0).normal(size=(len(context.parts["validation"].truth), context.kind.size))
    return Fitted("probe", context.backbone.encoder, context.new_head(), logits.astype(np.float32))


def test_the_scores_that_are_kept_are_those_of_the_validation_rows(make_context: Make) -> None:
    context = make_context(settings={"unsure.error": 0.2})
    made = fitted(context)
    (single,) = calibrated(context, made)
    truth = context.kind.encode(context.parts["validation"].truth)
    proba = single.kind.proba(made.validation_logits)
    wanted = np.sort(1 - proba[np.arange(len(truth)), truth])
    assert single.kind.promise.groups[0].values == pytest.approx(wanted, abs=1.1e-6)
    assert single.kind.promise.error == 0.2
    assert single.kind.temperature == context.kind.calibrate(made.validation_logits, truth).temperature


def test_classes_that_are_too_small_for_their_own_promise_are_told(make_context: Make) -> None:
    context = make_context(settings={"unsure.error": 0.05, "unsure.per_class": True})
    (single,) = calibrated(context, fitted(context))
    assert len(single.kind.promise.groups) == 4
    said = [one["say"] for one in context.run.told if one.get("event") == "unsure"]
    assert "4 classes have fewer than 19 validation rows, so their labels stand in every set" in said[0]


def test_of_several_targets_each_has_its_own_scores(make_context: Make) -> None:
    context = make_context("several", {"unsure.error": 0.2})
    made = fitted(context)
    label, number = calibrated(context, made)
    rows = sum(intent is not None for intent, _ in context.parts["validation"].truth)
    assert label.kind.promise.groups[0].rows == rows < len(context.parts["validation"].truth)
    assert not hasattr(number.kind, "promise")


class Embedder:
    """Vectors of texts by their letters."""

    def embed(self, columns: Any) -> Any:
        counts = np.array([[text.count(letter) + 0.1 for letter in "abcdefghij"] for text in columns["text"]])
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("detector", ["probability", "nearest", "mahalanobis", "combined"])
def test_the_threshold_turns_away_the_share_of_the_budget(make_context: Make, tmp_path: Path, detector: str) -> None:
    settings = {"unsure.out_of_scope": 0.1, "unsure.detector": detector}
    context = make_context(settings=settings)
    made = fitted(context)
    (single,) = scoped(tmp_path, context, made, calibrated(context, made), Embedder())  # type: ignore[arg-type]
    told = single.kind.scope
    assert told["detector"] == detector
    assert bool(told["file"]) == (detector != "probability")
    from tunewright.runtime.scope import Scope

    scope = Scope.load(told, tmp_path)
    vectors = Embedder().embed(context.parts["validation"].inputs)
    outside = scope.outside(single.kind, made.validation_logits, vectors)
    assert 0 < outside.mean() <= 0.1


def test_where_words_were_learnt_again_detectors_look_at_the_logits(make_context: Make, tmp_path: Path) -> None:
    context = make_context(settings={"unsure.out_of_scope": 0.1})
    made = replace(fitted(context), backbone=context.backbone)
    (single,) = scoped(tmp_path, context, made, calibrated(context, made), Embedder())  # type: ignore[arg-type]
    assert set(single.kind.scope["areas"]) == {"probability", "energy"}
    assert single.kind.scope["file"] == ""


def test_without_a_budget_nothing_is_fitted(make_context: Make, tmp_path: Path) -> None:
    context = make_context()
    singles = calibrated(context, fitted(context))
    assert scoped(tmp_path, context, fitted(context), singles, None) is singles  # type: ignore[arg-type]
    assert not list(tmp_path.glob("scope*"))


def test_the_detector_that_sees_held_out_classes_is_chosen() -> None:
    """Classes lie on lines from the origin in pairs, so that a head is sure of a class it never saw."""
    draw = np.random.default_rng(0)
    truth = np.arange(1200) % 12
    vectors = np.eye(12)[truth] + 0.05 * draw.normal(size=(1200, 12))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    train, judged = Seen(vectors[:800], truth[:800]), Seen(vectors[800:], truth[800:])
    chosen, areas = best_detector(("energy", "nearest"), train, judged, 0)
    assert areas["nearest"] > 0.99
    assert chosen == max(areas, key=areas.__getitem__)
    assert best_detector(("energy", "nearest"), train, judged, 0) == (chosen, areas)


def test_with_too_few_classes_there_is_no_trial() -> None:
    vectors = np.eye(4, dtype=np.float32)[np.arange(40) % 2]
    seen = Seen(vectors, np.arange(40) % 2)
    assert best_detector(("energy", "nearest"), seen, seen, 0) == ("nearest", {})


def test_strange_rows_are_for_single_labels_alone(make_context: Make) -> None:
    context = make_context("multilabel", {"unsure.out_of_scope": 0.05})
    assert "unsure.out_of_scope needs a target of kind classify, not multilabel → leave it out" in refused(context, 100)


def test_of_several_labels_only_rows_that_have_one_count(make_context: Make) -> None:
    context = make_context("multilabel", {"unsure.error": 0.05})
    part = Part({}, [["x"]] * 18 + [[]] * 50)
    with pytest.raises(TunewrightError, match="needs 19 validation rows with a label; there are 18 → set split"):
        check(context.task, context.task.targets, part)
    check(context.task, context.task.targets, Part({}, [["x"]] * 19))


def test_several_labels_keep_the_scores_of_the_validation_rows(make_context: Make) -> None:
    context = make_context("multilabel", {"unsure.error": 0.2})
    made = fitted(context)
    (single,) = calibrated(context, made)
    truth = context.kind.encode(context.parts["validation"].truth)
    promise = single.kind.promise
    assert promise == LabelPromise.of(single.kind.proba(made.validation_logits), truth, 0.2, per_class=False)
    assert (promise.error, promise.left_out[0].rows, promise.wrong.rows) == (0.2, len(truth), len(truth))
    assert not [one for one in context.run.told if one.get("event") == "unsure"]


def test_labels_that_are_too_rare_for_their_own_rate_are_told(make_context: Make) -> None:
    context = make_context("multilabel", {"unsure.error": 0.05, "unsure.per_class": True})
    (single,) = calibrated(context, fitted(context))
    assert len(single.kind.promise.left_out) == context.kind.size
    said = [one["say"] for one in context.run.told if one.get("event") == "unsure"]
    assert "5 labels have fewer than 19 validation rows, so they are never left out; set split.validation" in said[0]


def test_a_number_is_left_as_it_is(make_context: Make) -> None:
    context = make_context("regress")
    (single,) = calibrated(context, fitted(context))
    assert not hasattr(single.kind, "promise")
