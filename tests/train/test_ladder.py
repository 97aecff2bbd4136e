"""The ladder: the bound of a paired gain, what is kept, what is not tried, what is fitted again."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from tunewright.core import plugins
from tunewright.methods import full, probe
from tunewright.train.context import Fitted
from tunewright.train.ladder import Z80, climb, paired_gain

Make = Callable[..., Any]


def test_the_gain_is_the_mean_of_pairs_and_its_bound_is_one_sided() -> None:
    draws = np.random.default_rng(0)
    before, after = draws.random(50), draws.random(50) + 0.1
    gain, low = paired_gain(after, before)
    differences = after - before
    assert gain == pytest.approx(differences.mean())
    assert low == pytest.approx(norm.ppf(0.2, differences.mean(), differences.std(ddof=1) / np.sqrt(50)), rel=1e-3)
    assert pytest.approx(NormalDist().inv_cdf(0.8), abs=1e-4) == Z80


def test_pairs_that_agree_leave_no_doubt_and_one_pair_leaves_all() -> None:
    assert paired_gain(np.ones(9), np.ones(9)) == (0.0, 0.0)
    assert paired_gain(np.ones(9), np.zeros(9)) == (1.0, 1.0)
    assert paired_gain([1.0], [0.0]) == (1.0, -np.inf)


@pytest.mark.parametrize(
    ("won", "lost", "kept"), [(3, 0, True), (1, 0, True), (1, 1, False), (2, 1, False), (0, 0, False)]
)
def test_full_is_kept_only_where_its_gain_is_sure(
    won: int, lost: int, kept: bool, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``full`` is right on ``won`` rows that the probe has wrong, and wrong on ``lost`` that it has right."""
    context = make_context()
    monkeypatch.setattr(full, "fit", lambda context: turned(context, won, lost))
    fitted, rungs = climb(context)
    assert [rung.method for rung in rungs] == ["probe", "full"]
    assert rungs[1].kept is kept
    assert rungs[1].gain == pytest.approx((won - lost) / 40, abs=1e-6)
    assert fitted.method == ("full" if kept else "probe")
    verdict = "kept" if kept else "not kept, since the gain is not sure"
    assert any(f"80 % lower bound {rungs[1].low:+.4f}: {verdict}" in one.get("say", "") for one in context.run.told)


def turned(context: Any, won: int, lost: int) -> Fitted:
    start = context.start
    logits, truth = start.validation_logits.copy(), context.validation.truth
    right = context.kind.decide(logits) == truth
    for row in np.flatnonzero(~right)[:won]:
        logits[row] = np.eye(4)[truth[row]]
    for row in np.flatnonzero(right)[:lost]:
        logits[row] = np.eye(4)[(truth[row] + 1) % 4]
    return Fitted("full", start.encoder, start.head, logits)


def test_the_probe_is_fitted_again_when_it_stays(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context()
    monkeypatch.setattr(full, "fit", lambda context: turned(context, 0, 1))
    fitted, rungs = climb(context)
    assert fitted.refit is None, "what comes back is the second fit"
    assert any("fitted again on training and validation rows" in one.get("say", "") for one in context.run.told)
    assert rungs[0].facts["strength"] == fitted.facts["strength"]


@pytest.mark.parametrize("over", ["interrupted", "minutes"])
def test_no_further_rung_is_tried_when_it_is_time_to_stop(
    over: str, make_context: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make_context()
    fit = probe.fit

    def stopping(context: Any) -> Fitted:
        fitted = fit(context)
        if over == "interrupted":
            context.run.interrupted = True
        else:
            context.run.seconds = -1.0
        return fitted

    monkeypatch.setattr(probe, "fit", stopping)
    monkeypatch.setattr(full, "fit", lambda context: pytest.fail("full was tried"))
    fitted, rungs = climb(context)
    assert [rung.method for rung in rungs] == ["probe"]
    assert (fitted.refit is not None) == (over == "interrupted"), "an interrupt ships at once"
    assert any(one.get("say") == "full: not tried, the time is over" for one in context.run.told)


def test_one_method_that_is_named_is_the_only_rung(make_context: Make) -> None:
    fitted, rungs = climb(make_context("classify", {"fit.method": "full", "fit.epochs": 1}))
    assert [(rung.method, rung.kept, rung.gain) for rung in rungs] == [("full", True, None)]
    assert fitted.method == "full"


def test_a_kind_without_closed_form_begins_with_full(make_context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context("classify", {"fit.epochs": 1})
    monkeypatch.setattr(type(context.kind), "closed_form", None)
    assert [rung.method for rung in climb(context)[1]] == ["full"]


def test_an_unknown_method_is_named(make_context: Make) -> None:
    with pytest.raises(Exception, match="there is no method 'prob' → did you mean 'probe'"):
        climb(make_context("classify", {"fit.method": "prob"}))


def test_rungs_are_plain_records(make_context: Make) -> None:
    _, (rung,) = climb(make_context("regress", {"fit.method": "probe"}))
    assert vars(rung).keys() == {"method", "score", "seconds", "gain", "low", "kept", "facts"}
    assert isinstance(SimpleNamespace(**vars(rung)).score, float)
    assert plugins.names("methods")
