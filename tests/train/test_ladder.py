"""The ladder: the bound of a paired gain, what is kept, what is not tried, what is fitted again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tunewright.core import plugins
from tunewright.core.journal import read_journal
from tunewright.methods import lexical, probe
from tunewright.train import evidence, ladder
from tunewright.train.fitted import Crossed, Fitted
from tunewright.train.ladder import climb

Make = Callable[..., Any]


def context_of(make_context: Make, monkeypatch: pytest.MonkeyPatch, **methods: Callable[[Any], Fitted]) -> Any:
    """A context whose rungs are those named, with the fits given; words are right on no row, so the probe is kept.

    Without a fit for ``blend`` the task does not want one. Rungs are compared by scores alone: tests count rows.
    """
    monkeypatch.setattr(evidence, "LOGISTIC", ())
    monkeypatch.setattr(ladder, "FEW_ROWS", 0)
    fits = {"lexical": lambda context: said_of(context, 0), "probe": probe.fit} | methods
    load = plugins.load
    monkeypatch.setattr(
        ladder.plugins,
        "load",
        lambda folder, name: SimpleNamespace(fit=fits[name]) if folder == "methods" else load(folder, name),
    )
    return make_context("classify", {"fit.blend": "blend" in methods})


def said_of(context: Any, right: int, method: str = "lexical") -> Fitted:
    """A fit that is right on the first ``right`` validation rows alone."""
    truth = context.validation.truth
    said = np.where(np.arange(len(truth)) < right, truth, (truth + 1) % 4)
    return Fitted(method, context.backbone.encoder, context.new_head(), np.eye(4)[said])


def turned(context: Any, won: int, lost: int, method: str = "full") -> Fitted:
    """``full`` is right on ``won`` rows that the probe has wrong, and wrong on ``lost`` that it has right."""
    start = context.start
    logits, truth = start.validation_logits.copy(), context.validation.truth
    right = context.kind.decide(logits) == truth
    for row in np.flatnonzero(~right)[:won]:
        logits[row] = np.eye(4)[truth[row]]
    for row in np.flatnonzero(right)[:lost]:
        logits[row] = np.eye(4)[(truth[row] + 1) % 4]
    return Fitted(method, start.encoder, start.head, logits)


@pytest.mark.parametrize(
    ("won", "lost", "kept"), [(3, 0, True), (1, 0, True), (1, 1, False), (2, 1, False), (0, 0, False)]
)
def test_full_is_kept_only_where_its_gain_is_sure(
    won: int, lost: int, kept: bool, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(make_context, monkeypatch, full=lambda context: turned(context, won, lost))
    fitted, rungs = climb(context)
    assert [rung.method for rung in rungs] == ["lexical", "probe", "full"]
    assert rungs[2].kept is kept
    assert rungs[2].gain == pytest.approx((won - lost) / 40, abs=1e-6)
    assert fitted.method == ("full" if kept else "probe")
    verdict = "kept" if kept else "not kept, since the gain is not sure"
    assert any(f"80 % lower bound {rungs[2].low:+.4f}: {verdict}" in one.get("say", "") for one in context.run.told)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_of_words_and_probe_the_better_one_is_kept_without_proof(
    more: int, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both cost little, so one row decides; where they are alike, words are kept, which are smaller."""

    def words(context: Any) -> Fitted:
        scores = context.kind.row_score(probe.fit(context).validation_logits, context.validation.truth)
        return said_of(context, int(scores.sum()) + more)

    context = context_of(make_context, monkeypatch, lexical=words, full=lambda context: turned(context, 0, 9))
    fitted, rungs = climb(context)
    assert fitted.method == ("probe" if more < 0 else "lexical")
    assert rungs[1].kept is (more < 0)
    assert [rung.method for rung in rungs] == ["lexical", "probe", "full"], "a poor probe does not end the climb"
    assert context.start.method == "probe", "what full begins with"


def test_what_is_likelier_is_kept_although_the_score_cannot_tell(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def likelier(context: Any) -> Fitted:
        """Right on the same rows as the probe, and the true label is in the second place elsewhere."""
        logits, truth = context.start.validation_logits, context.validation.truth
        right = (context.kind.decide(logits) == truth)[:, None]
        pulled = np.where(right, 0.5, 0.2) * (logits.max(1) - logits[np.arange(len(truth)), truth])[:, None]
        return Fitted("full", context.start.encoder, context.start.head, logits + (pulled + right) * np.eye(4)[truth])

    context = context_of(make_context, monkeypatch, full=likelier)
    monkeypatch.setattr(evidence, "LOGISTIC", ("logistic",))
    fitted, rungs = climb(context)
    assert rungs[2].gain == 0
    assert rungs[2].likelihood_low > 0
    assert fitted.method == "full"
    said = f"; of the log likelihood {rungs[2].likelihood_gain:+.4f}, {rungs[2].likelihood_low:+.4f}: kept"
    assert any(said in one.get("say", "") for one in context.run.told)


def test_a_likelihood_that_the_score_denies_is_named(make_context: Make) -> None:
    gains = {"likelihood_gain": 0.018, "likelihood_low": 0.012}
    rung = ladder.Rung("blend", 0.917, 0.009, 0.1, 9, -0.004, -0.0076, False, {}, **gains)
    said = ladder._said(make_context("classify"), rung, cheap=True)
    assert said.endswith("of the log likelihood +0.0180, +0.0120: not kept, since the score is lower")


def test_few_rows_of_a_class_try_pairs_first(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = lambda context: turned(context, 0, 1, "contrastive")  # noqa: E731
    context = context_of(make_context, monkeypatch, contrastive=pairs, full=lambda context: turned(context, 0, 1))
    monkeypatch.setattr(ladder, "FEW_ROWS", 20)
    assert [rung.method for rung in climb(context)[1]] == ["lexical", "probe", "contrastive", "full"]


def test_what_too_few_rows_can_judge_is_kept_on_trust(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = lambda context: replace(turned(context, 0, 0, "contrastive"), facts={"judged": False})  # noqa: E731
    context = context_of(make_context, monkeypatch, contrastive=pairs, full=lambda context: turned(context, 0, 1))
    monkeypatch.setattr(ladder, "FEW_ROWS", 20)
    fitted, rungs = climb(context)
    assert fitted.method == "contrastive"
    assert [rung.kept for rung in rungs if rung.method in ("contrastive", "full")] == [True, False]
    assert any("kept on trust: there are too few validation rows" in one.get("say", "") for one in context.run.told)


def sums(context: Any, won: int) -> Fitted:
    """A blend that is right on every row it was fitted on, and by others on ``won`` rows more than the probe."""
    apart = turned(context, won, 0, "blend")
    every = np.eye(4)[context.validation.truth]
    return replace(apart, validation_logits=every, apart=apart.validation_logits)


@pytest.mark.parametrize(("won", "kept"), [(1, True), (0, False)])
def test_words_are_blended_into_the_probe_where_that_gains_on_rows_that_it_was_not_fitted_on(
    won: int, kept: bool, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []

    def blend(context: Any) -> Fitted:
        parts.append((context.dense.method, context.words.method))
        return sums(context, won)

    context = context_of(make_context, monkeypatch, full=lambda context: turned(context, 1, 1), blend=blend)
    fitted, rungs = climb(context)
    assert [(rung.method, rung.kept) for rung in rungs][1:] == [("probe", True), ("blend", kept), ("full", False)]
    assert rungs[2].gain == pytest.approx(won / 40, abs=1e-6)
    assert fitted.method == ("blend" if kept else "probe")
    assert parts == [("probe", "lexical")], "full was not better than the probe, so it is not blended again"


@pytest.mark.parametrize(
    ("first", "won", "second", "kept"),
    [
        (0, 2, 3, "blend of full"),  # full is kept, and words add to it: any gain will do
        (0, 2, 2, "full"),
        (2, 1, 2, "blend of probe"),  # full does not beat the blend before, and blended it is no better
        (2, 1, 6, "blend of full"),
        (2, 1, 3, "blend of full"),
    ],
)
def test_what_was_trained_is_blended_too_where_it_is_better_than_the_probe(
    first: int, won: int, second: int, kept: str, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blend(context: Any) -> Fitted:
        name = context.dense.method
        return replace(sums(context, first if name == "probe" else second), facts={"of": name})

    context = context_of(make_context, monkeypatch, full=lambda context: turned(context, won, 0), blend=blend)
    fitted, rungs = climb(context)
    assert [rung.method for rung in rungs] == ["lexical", "probe", "blend", "full", "blend"]
    assert " of ".join([fitted.method, *fitted.facts.values()][:2]) == kept or fitted.method == kept


def test_a_blend_of_what_was_trained_is_not_kept_by_chance(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a blend of the probe a gain has to be sure, although blending costs nothing more."""

    def blend(context: Any) -> Fitted:
        if context.dense.method == "probe":
            return sums(context, 1)
        return replace(sums(context, 0), apart=turned(context, 5, 3).validation_logits)

    context = context_of(make_context, monkeypatch, full=lambda context: turned(context, 1, 0), blend=blend)
    _, rungs = climb(context)
    assert rungs[-1].gain == pytest.approx(1 / 40, abs=1e-6)
    assert [rung.kept for rung in rungs] == [True, True, True, False, False]
    said = [one["say"] for one in context.run.told if one.get("say", "").startswith("blend: validation")]
    assert "kept" in said[0]
    assert "not kept, since the gain is not sure" in said[1]


def test_beside_words_that_are_kept_the_best_on_the_backbone_is_blended(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []

    def blend(context: Any) -> Fitted:
        parts.append(context.dense.method)
        return sums(context, 0)

    words, full = lambda context: said_of(context, 39), lambda context: turned(context, 1, 0)
    context = context_of(make_context, monkeypatch, lexical=words, full=full, blend=blend)
    fitted, _ = climb(context)
    assert parts == ["probe", "full"]
    assert fitted.method == "lexical"


def test_words_and_the_probe_are_compared_on_the_training_rows_too_that_both_have_cross_validated(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the validation rows words are right more often, on all rows the probe is."""

    def crossed(fitted: Fitted, context: Any, share: float) -> Fitted:
        truth = context.kind.encode(context.parts["train"].truth)
        rows = np.arange(len(truth))[::-1]
        said = np.where(np.arange(len(rows)) < share * len(rows), truth[rows], (truth[rows] + 1) % 4)
        return replace(fitted, crossed=Crossed(rows, np.eye(4)[said]))

    words = lambda context: crossed(said_of(context, 40), context, 0.2)  # noqa: E731
    dense = lambda context: crossed(said_of(context, 30, "probe"), context, 0.6)  # noqa: E731
    context = context_of(
        make_context, monkeypatch, lexical=words, probe=dense, full=lambda context: turned(context, 0, 0)
    )
    fitted, rungs = climb(context)
    n = len(context.parts["train"].truth)
    assert fitted.method == "probe"
    assert rungs[1].gain == pytest.approx((round(0.6 * n) - round(0.2 * n) - 10) / (n + 40), abs=0.01)
    assert (rungs[0].score, rungs[1].score) == (1.0, 0.75), "what is told is of the validation rows"


@pytest.mark.parametrize("setting", [{"fit.blend": False}, {"fit.shared": True}])
def test_an_encoder_that_is_to_read_tokens_alone_gets_no_words(
    setting: dict[str, bool], make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = lambda context: pytest.fail("a blend was tried")  # noqa: E731
    context = context_of(make_context, monkeypatch, full=lambda context: turned(context, 0, 1), blend=refused)
    named = {name.removeprefix("fit."): value for name, value in setting.items()}
    context.task = context.task.model_copy(update={"fit": context.task.fit.model_copy(update=named)})
    assert [rung.method for rung in climb(context)[1]] == ["lexical", "probe", "full"]


def test_no_blend_rests_on_what_has_learnt_from_the_validation_rows(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []

    def blend(context: Any) -> Fitted:
        parts.append(context.dense.method)
        return sums(context, 0)

    pairs = lambda context: replace(turned(context, 0, 0, "contrastive"), facts={"judged": False})  # noqa: E731
    full = lambda context: turned(context, 0, 1)  # noqa: E731
    context = context_of(make_context, monkeypatch, contrastive=pairs, full=full, blend=blend)
    monkeypatch.setattr(ladder, "FEW_ROWS", 20)
    assert [rung.method for rung in climb(context)[1]] == ["lexical", "probe", "blend", "contrastive", "full"]
    assert parts == ["probe"]


def test_without_time_for_an_epoch_the_last_layers_are_trained(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(make_context, monkeypatch, top=lambda context: turned(context, 0, 1, "top"))
    monkeypatch.setattr(ladder, "EPOCH_PASSES", 1e9)
    assert [rung.method for rung in climb(context)[1]] == ["lexical", "probe", "top"]


def test_the_probe_is_fitted_again_when_it_stays(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(make_context, monkeypatch, full=lambda context: turned(context, 0, 1))
    fitted, rungs = climb(context)
    assert fitted.refit is None, "what comes back is the second fit"
    assert any("fitted again on training and validation rows" in one.get("say", "") for one in context.run.told)
    assert rungs[1].facts["strength"] == fitted.facts["strength"]


@pytest.mark.parametrize(("share", "again"), [(0.05, True), (0.5, False)])
def test_words_are_not_learnt_again_where_that_takes_long_and_the_time_is_over(
    share: float, again: bool, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context("classify", {"fit.method": "lexical"})
    words = replace(lexical.fit(context), facts={"first": True})
    context.run.seconds, context.run.started = 100.0, time.monotonic() - 200.0
    rung = replace(climb(make_context("classify", {"fit.method": "lexical"}))[1][0], seconds=100 * share)
    made = ladder._on_all_rows(context, words, [rung])
    assert (made is not words) == again
    said = (
        "fitted again on training"
        if again
        else f"not fitted again on all rows, which would take some {100 * share:.0f} s"
    )
    assert any(said in one.get("say", "") for one in context.run.told)


@pytest.mark.parametrize("over", ["interrupted", "minutes"])
def test_no_further_rung_is_tried_when_it_is_time_to_stop_but_a_blend_unless_someone_waits(
    over: str, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopping(context: Any) -> Fitted:
        fitted = probe.fit(context)
        if over == "interrupted":
            context.run.interrupted = True
        else:
            context.run.seconds = -1.0
        return fitted

    full = lambda context: pytest.fail("full was tried")  # noqa: E731
    context = context_of(make_context, monkeypatch, probe=stopping, full=full, blend=lambda context: sums(context, 0))
    monkeypatch.setattr(ladder, "EPOCH_PASSES", 0.0)
    fitted, rungs = climb(context)
    assert [rung.method for rung in rungs] == ["lexical", "probe", *["blend"] * (over == "minutes")]
    assert (fitted.refit is not None) == (over == "interrupted"), "an interrupt ships at once"
    assert any(": not tried, the time is over" in one.get("say", "") for one in context.run.told)


def test_one_method_that_is_named_is_held_against_words_alone(make_context: Make) -> None:
    fitted, rungs = climb(make_context("classify", {"fit.method": "full", "fit.epochs": 1}))
    assert [(rung.method, rung.kept) for rung in rungs] == [("lexical", False), ("full", True)]
    assert rungs[1].gain == pytest.approx(rungs[1].score - rungs[0].score, abs=1e-5)
    assert fitted.method == "full"


def test_a_kind_without_closed_form_begins_with_full(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context("classify", {"fit.epochs": 1})
    monkeypatch.setattr(type(context.kind), "closed_form", None)
    assert [rung.method for rung in climb(context)[1]] == ["full"]


def test_an_unknown_method_is_named(make_context: Make) -> None:
    with pytest.raises(Exception, match="there is no method 'prob' → did you mean 'probe'"):
        climb(make_context("classify", {"fit.method": "prob"}))


def test_rungs_are_plain_records(make_context: Make) -> None:
    _, (words, rung) = climb(make_context("regress", {"fit.method": "probe"}))
    told = {"method", "score", "error", "seconds", "size_bytes", "peak_rss_bytes", "gain", "low", "kept", "facts"}
    told |= {"likelihood_gain", "likelihood_low"}
    assert vars(rung).keys() == vars(words).keys() == told
    assert isinstance(rung.score, float)
    assert rung.size_bytes > words.size_bytes > 0
    assert rung.error > 0


def test_each_rung_is_journaled_with_its_cost_and_has_a_peak_of_memory_of_its_own(
    make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def large(context: Any) -> Fitted:
        block = np.ones(200 * 2**20 // 8)
        time.sleep(0.15)
        del block
        return said_of(context, 0)

    context = context_of(make_context, monkeypatch, lexical=large, full=lambda context: turned(context, 3, 0))
    _, rungs = climb(context)
    assert rungs[0].peak_rss_bytes > rungs[1].peak_rss_bytes + 100 * 2**20, "the first one's peak is not the second's"
    told = [one for one in read_journal(context.run.journal.path) if one["event"] == "rung"]
    assert [one["method"] for one in told] == ["lexical", "probe", "full"]
    for record, rung in zip(told, rungs, strict=True):
        assert record["peak_rss_bytes"] == rung.peak_rss_bytes > 50 * 2**20
        assert (record["score"], record["kept"], record["low"]) == (rung.score, rung.kept, rung.low)
        assert record["took_seconds"] == pytest.approx(rung.seconds, abs=1e-3)
        assert record["trainable_parameters"] == rung.facts.get("trainable_parameters")
    assert told[1]["trainable_parameters"] == 4 * 33, "of the probe: a weight per class and number, and a bias"
