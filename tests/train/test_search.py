"""The study: the same draws however often the process was started, retries, early ends, and the frontier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.space import Field
from tunewright.train.search import FEWEST, RETRIES, Open, Study, Trial, best, fitted_alone, frontier

SPACE = (
    Field("fit.method", choices=("probe", "full")),
    Field("fit.epochs", 1, 9),
    Field("fit.learning_rate", 1e-5, 1e-3),
)


def score(params: dict[str, Any]) -> float:
    return -abs(params.get("fit.learning_rate", 1e-5) - 2e-4) - abs(params.get("fit.epochs", 1) - 4) / 100


def tried(study: Study, count: int) -> None:
    """Try settings until ``count`` trials have ended."""
    while sum(one.counts for one in study.trials) < count:
        trial = study.ask(SPACE, "full")
        twin = trial.twin()
        trial.give_way(twin) if twin else trial.finish([score(trial.params)], 1.0)


def ended(study: Study) -> list[tuple[dict[str, Any], tuple[float, ...] | None]]:
    return [(one.params, one.values) for one in study.trials if one.counts]


def opened(folder: Path, highest: Sequence[bool] = (True,), seed: int = 3) -> Study:
    folder.mkdir(exist_ok=True)
    return Study(folder, highest, seed)


def test_draws_lie_in_the_space_and_are_those_of_the_seed(tmp_path: Path) -> None:
    first, again, other = opened(tmp_path / "a"), opened(tmp_path / "b"), opened(tmp_path / "c", seed=4)
    for study in (first, again, other):
        tried(study, 14)
    assert ended(first) == ended(again)
    assert ended(first) != ended(other)
    for params, _ in ended(first):
        if params["fit.method"] == "probe":
            assert set(params) == {"fit.method"}
        else:
            assert params["fit.epochs"] in range(1, 10)
            assert 1e-5 <= params["fit.learning_rate"] <= 1e-3
    assert sum(params["fit.method"] == "probe" for params, _ in ended(first)) == 1


@pytest.mark.parametrize("kills", [(0,), (1, 2, 5), (3, 3), (12,)])
def test_a_search_that_is_killed_draws_what_one_in_peace_draws(tmp_path: Path, kills: Sequence[int]) -> None:
    peaceful = opened(tmp_path / "peaceful")
    tried(peaceful, 13)
    for at in kills:
        study = opened(tmp_path / "killed")
        study.take_up()
        tried(study, at)
        study.ask(SPACE, "full")  # and no more
    study = opened(tmp_path / "killed")
    study.take_up()
    tried(study, 13)
    assert ended(study) == ended(peaceful)
    dead = [one for one in study.trials if one.state == "died"]
    assert len(dead) == len(kills)
    for one in dead:
        assert any(other.params == one.params and other.home == one.home for other in study.trials[one.number + 1 :])


def test_a_kill_while_the_settings_are_drawn_costs_nothing(tmp_path: Path) -> None:
    peaceful, study = opened(tmp_path / "peaceful"), opened(tmp_path / "killed")
    tried(peaceful, 3)
    study._study.ask().suggest_categorical("fit.method", ("probe", "full"))
    study = opened(tmp_path / "killed")
    assert study.take_up() == [0]
    tried(study, 3)
    assert ended(study) == ended(peaceful)
    assert study.trials[0].state == "died"


def test_a_kill_between_the_two_entries_of_a_retry_makes_no_second_one(tmp_path: Path) -> None:
    study = opened(tmp_path / "s")
    params = study.ask(SPACE, "full").params
    study._study.enqueue_trial(params, user_attrs={"retry_of": 0, "deaths": 1, "home": 0})
    study = opened(tmp_path / "s")
    assert study.take_up() == [0]
    assert [one.state for one in study.trials] == ["died", "waiting"]
    assert study.ask(SPACE, "full").params == params


def test_a_trial_that_ends_its_process_again_and_again_fails_at_last(tmp_path: Path) -> None:
    for _ in range(RETRIES + 1):
        study = opened(tmp_path / "s")
        study.take_up()
        params = study.ask(SPACE, "full").params
    study = opened(tmp_path / "s")
    study.take_up()
    assert [one.state for one in study.trials] == ["died"] * RETRIES + ["failed"]
    assert study.trials[-1].reason == f"the process ended in it, {RETRIES + 1} times"
    assert study.trials[-1].params == params
    assert study.trials[-1].counts
    assert study.ask(SPACE, "full").params != params


def test_a_trial_that_was_left_goes_on_as_often_as_that_happens(tmp_path: Path) -> None:
    params = []
    for _ in range(RETRIES + 3):
        study = opened(tmp_path / "s")
        study.take_up()
        trial = study.ask(SPACE, "full")
        params.append(trial.params)
        trial.leave()
    assert all(one == params[0] for one in params)
    assert study.trials[-1].state == "stopped"


def test_a_half_written_line_and_a_lock_left_behind_do_no_harm(tmp_path: Path) -> None:
    study = opened(tmp_path / "s")
    tried(study, 2)
    before = ended(study)
    journal = tmp_path / "s" / "journal.jsonl"
    with journal.open("a") as file:
        file.write('{"op_code":4,"wor')
    (tmp_path / "s" / "journal.jsonl.lock").touch()
    study = opened(tmp_path / "s")
    assert ended(study) == before
    tried(study, 3)
    assert ended(opened(tmp_path / "s"))[:2] == before


def test_the_end_of_a_trial_is_kept(tmp_path: Path) -> None:
    study = opened(tmp_path / "s", [True, False])
    study.ask(SPACE, "full").finish([0.5, 3.0], 1.5)
    study.ask(SPACE, "full").fail("no room → make some", 2.0)
    study.ask(SPACE, "full").prune(0.25)
    found = opened(tmp_path / "s", [True, False]).trials
    assert [one.state for one in found] == ["finished", "failed", "pruned"]
    assert [one.values for one in found] == [(0.5, 3.0), None, None]
    assert [one.seconds for one in found] == [1.5, 2.0, 0.25]
    assert found[1].reason == "no room → make some"


def reporting(study: Study, scores: Sequence[float]) -> tuple[Open, list[bool]]:
    trial = study.ask((Field("fit.learning_rate", 1e-5, 1e-3),), "full")
    return trial, [trial.report(epoch, value) for epoch, value in enumerate(scores, 1)]


def test_a_trial_behind_the_median_of_enough_others_is_given_up(tmp_path: Path) -> None:
    study = opened(tmp_path / "s")
    for at in range(5):
        trial, behind = reporting(study, [0.7 + at / 100, 0.8])
        assert behind == [False, False]
        trial.finish([0.8], 1.0)
    assert reporting(study, [0.71])[1] == [True]
    assert reporting(study, [0.73])[1] == [False]
    assert study.trials[0].scores == {1: 0.7, 2: 0.8}


def test_few_others_that_told_a_score_are_not_enough(tmp_path: Path) -> None:
    study = opened(tmp_path / "s")
    for at in range(8):
        trial, _ = reporting(study, [0.7] if at < FEWEST - 1 else [])
        trial.finish([0.7], 1.0)
    trial, behind = reporting(study, [0.1])
    assert behind == [False]
    trial.finish([0.1], 1.0)
    assert reporting(study, [0.05])[1] == [True]


@pytest.mark.parametrize("highest", [[True, False], [False]])
def test_where_accuracy_is_not_the_only_objective_none_is_given_up(tmp_path: Path, highest: list[bool]) -> None:
    study = opened(tmp_path / "s", highest)
    for _ in range(6):
        trial, _ = reporting(study, [0.9])
        trial.finish([0.9] * len(highest), 1.0)
    assert reporting(study, [0.99])[1] == [False]
    assert reporting(study, [0.1])[1] == [False]


def test_a_retried_trial_has_the_scores_that_were_told_before(tmp_path: Path) -> None:
    reporting(opened(tmp_path / "s"), [0.5, 0.6])
    study = opened(tmp_path / "s")
    study.take_up()
    trial = study.ask((Field("fit.learning_rate", 1e-5, 1e-3),), "full")
    trial.report(2, 0.6)  # again, where the checkpoint is older; told once
    trial.report(3, 0.7)
    assert study.trials[1].scores == {1: 0.5, 2: 0.6, 3: 0.7}


# ── the frontier ─────────────────────────────────────────────────────────────────────────────────────────────────────

VALUES = st.integers(0, 4).map(float)
ROWS = st.integers(1, 3).flatmap(
    lambda width: st.tuples(
        st.lists(st.booleans(), min_size=width, max_size=width),
        st.lists(st.tuples(*[VALUES] * width), max_size=12),
    )
)


@given(ROWS)
def test_the_frontier_is_what_no_trial_betters(drawn: tuple[list[bool], list[tuple[float, ...]]]) -> None:
    highest, rows = drawn
    trials = [Trial(at, {}, "finished", values) for at, values in enumerate(rows)]
    others = [
        Trial(90, {}, "failed"),
        Trial(91, {}, "pruned"),
        Trial(92, {}, "finished", rows[0] if rows else (9.0,) * len(highest), same_as=0),
    ]
    found = frontier([*trials, *others], highest)
    study = optuna.create_study(directions=["maximize" if one else "minimize" for one in highest])
    study.add_trials([optuna.trial.create_trial(values=list(values)) for values in rows])
    assert [one.number for one in found] == sorted(one.number for one in study.best_trials)

    signed = [[value if up else -value for value, up in zip(values, highest, strict=True)] for values in rows]
    for at, mine in enumerate(signed):
        bettered = any(
            other != mine and all(theirs >= own for theirs, own in zip(other, mine, strict=True)) for other in signed
        )
        assert bettered == (at not in {one.number for one in found})
    chosen = best([*trials, *others], highest)
    assert (chosen is None) == (not rows)
    if chosen is not None:
        assert signed[chosen.number] == max(signed)
        assert chosen.number == signed.index(max(signed))


def test_a_method_alone_gives_what_the_method_gives(make_context: Callable[..., Any]) -> None:
    from tunewright.methods import probe

    fitted = fitted_alone(make_context(settings={"fit.method": "probe"}))
    wanted = probe.fit(make_context(settings={"fit.method": "probe"}))
    assert (fitted.validation_logits == wanted.validation_logits).all()
    assert fitted.method == "probe"
