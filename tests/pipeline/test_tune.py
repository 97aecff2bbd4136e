"""Searches from the first row to the released bundle: what is tried, told, kept, continued and refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tunewright
from tunewright import samples
from tunewright.core.errors import GateMissed, TunewrightError
from tunewright.core.run import Run
from tunewright.pipeline.parts import read_parts
from tunewright.pipeline.tasks import describe
from tunewright.pipeline.tune import Tuned, hands
from tunewright.pipeline.tune.measure import OBJECTIVES, measured
from tunewright.pipeline.tune.trials import Clock, _Cut, _Given, _heard

pytestmark = pytest.mark.usefixtures("traced_once")

TRAIN = samples.path("support_train.csv")
COLUMNS = ("--text", "text", "--label", "intent")


@pytest.fixture
def tune(tiny_backbone: Path, tmp_path: Path) -> Callable[..., Tuned]:
    """Searches over windows of the probe, three trials, at ``tmp_path/out``; other settings by their dotted names."""

    def run(settings: dict[str, Any] | None = None, **named: Any) -> Tuned:
        own = {"fit.backbone": str(tiny_backbone), "fit.method": "probe", "fit.threads": 1, "fit.precision": "fp32"}
        usual = {"out": tmp_path / "out", "trials": 3, "search": {"fit.max_tokens": "8|16|32|64"}}
        return tunewright.tune(TRAIN, text="text", label="intent", settings=own | (settings or {}), **usual | named)

    return run


@pytest.fixture
def asked(cli: Callable[..., Any], tiny_backbone: Path, tmp_path: Path) -> Callable[..., Any]:
    """Runs ``tune`` on the command line with the tiny backbone; ``--out`` is ``tmp_path/out``."""
    own = ("--backbone", tiny_backbone, "--out", tmp_path / "out", "--set", "fit.threads=1")
    return lambda *words: cli("tune", TRAIN, *COLUMNS, *own, *words)


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """``killed(2)``: the process ends in the midst of the second trial that it begins; its files stay.

    Returns a list that grows with each trial that is begun.
    """

    class Killed(BaseException):
        pass

    begun: list[int] = []

    def arm(at: int) -> list[int]:
        def dying(*arguments: Any) -> Any:
            begun.append(len(begun) + 1)
            if begun[-1] == at:
                raise Killed
            return measured(*arguments)

        monkeypatch.setattr(hands, "measured", dying)
        return begun

    arm.error = Killed  # type: ignore[attr-defined]
    return arm


def ended(record: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["params"], one["state"], one["values"]) for one in record["trials"] if one["state"] != "died"]


# ── what it gives ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_command_tells_all_trials_and_releases_the_best(asked: Callable[..., Any], tmp_path: Path) -> None:
    search = (
        "--search",
        "fit.method=probe|full",
        "--search",
        "fit.epochs=1..2",
        "--search",
        "fit.learning_rate=1e-5..1e-2",
    )
    ran = asked("--trials", 4, "--json", *search)
    assert ran.code == 0, ran.err
    record = json.loads(ran.out)
    assert record == json.loads((tmp_path / "out.tune.json").read_text(encoding="utf-8"))
    assert len(record["trials"]) == 4
    assert {one["params"]["fit.method"] for one in record["trials"]} == {"probe", "full"}
    finished = [one for one in record["trials"] if one["state"] == "finished"]
    top = max(one["values"]["score"] for one in finished)
    assert record["frontier"] == [one["number"] for one in finished if one["values"]["score"] == top]
    assert record["winner"] == record["frontier"][0]

    manifest = tunewright.load(tmp_path / "out").manifest
    winner = next(one for one in finished if one["number"] == record["winner"])
    assert manifest.method["name"] == winner["params"]["fit.method"]
    assert {name: manifest.task["fit"][name.removeprefix("fit.")] for name in winner["params"]} == winner["params"]
    assert {manifest.run["sources"][name] for name in winner["params"]} == {"search"}
    assert manifest.run["tune"]["trials"] == 4
    assert manifest.data["judged_on"] == "test"
    for one in record["trials"]:
        assert re.search(
            rf"^trial +{one['number']}  {one['state']}  .*fit\.method={one['params']['fit.method']}", ran.err, re.M
        )
    assert re.search(
        rf"^frontier trial +{winner['number']}  finished  accuracy {top:.4f}  .* ← released$", ran.err, re.M
    )
    assert list((tmp_path / "out.run").glob("tune-*/trial-*")) == []
    assert list((tmp_path / "out.run").glob("work-*")) == []


def test_the_bundle_is_the_one_that_fit_makes_of_the_same_settings(
    tune: Callable[..., Tuned], tiny_backbone: Path, tmp_path: Path
) -> None:
    search = {"fit.learning_rate": "1e-4..1e-2", "fit.epochs": "1..2"}
    tuned = tune({"fit.method": "full"}, trials=2, search=search)
    (params,) = (one["params"] for one in tuned.record["trials"] if one["number"] == tuned.record["winner"])
    plain = tunewright.fit(
        TRAIN,
        text="text",
        label="intent",
        out=tmp_path / "plain" / "out",
        settings={"fit.backbone": str(tiny_backbone), "fit.method": "full", "fit.precision": "fp32"}
        | {"fit.threads": 1}
        | params,
    )
    assert tuned.predictor.manifest.digest == plain.manifest.digest
    assert set(params) == set(search)


def test_several_objectives_have_a_frontier_from_which_one_may_pick(tune: Callable[..., Tuned], tmp_path: Path) -> None:
    tuned = tune(objective="accuracy,latency,size", trials=4)
    found = {one["number"]: one["values"] for one in tuned.record["trials"]}
    assert len(found) == 4
    for values in found.values():
        assert 0 < values["latency_ms"] < 1000
        assert values["size_bytes"] == pytest.approx(tuned.predictor.manifest.size_bytes, rel=0.02)
    gains = {at: (one["score"], -one["latency_ms"], -one["size_bytes"]) for at, one in found.items()}
    unbettered = [
        at
        for at, mine in gains.items()
        if not any(other != mine and all(a >= b for a, b in zip(other, mine, strict=True)) for other in gains.values())
    ]
    assert tuned.record["frontier"] == unbettered
    other = next(at for at in reversed(list(found)) if at != tuned.record["winner"])
    picked = tune(objective="accuracy,latency,size", trials=4, pick=other, force=True)
    assert picked.record["winner"] == other
    assert picked.record["trials"] == tuned.record["trials"]
    (wanted,) = (one["params"] for one in tuned.record["trials"] if one["number"] == other)
    assert picked.predictor.manifest.task["fit"]["max_tokens"] == wanted["fit.max_tokens"]
    with pytest.raises(
        TunewrightError, match=r"--pick 99: there is no such finished trial → use one of: \d, \d, \d, \d"
    ):
        tune(objective="accuracy,latency,size", trials=4, pick=99, force=True)


def test_a_small_space_is_tried_out_and_nothing_is_tried_twice(tune: Callable[..., Tuned]) -> None:
    told: list[dict[str, Any]] = []
    tuned = tune(trials=30, search={"fit.max_tokens": "16|64"}, listener=told.append)
    assert sorted(one["params"]["fit.max_tokens"] for one in tuned.record["trials"]) == [16, 64]
    assert any("the search space is tried out" in one.get("say", "") for one in told)


def test_a_trial_does_without_the_test_part(tiny_backbone: Path, tmp_path: Path) -> None:
    settings = {"fit.backbone": str(tiny_backbone), "fit.method": "probe"}
    task, _ = describe(TRAIN, text="text", label="intent", settings=settings)
    parts = read_parts(task, TRAIN)
    run = Run(tmp_path, tmp_path / "out", 5)
    blind = replace(parts, test=None)  # type: ignore[arg-type]
    values = measured(task, blind, run, list(OBJECTIVES.values()))
    assert len(values) == 3
    assert values[0] in {round(hits / len(parts.validation), 6) for hits in range(len(parts.validation) + 1)}


# ── going on ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_killed_search_goes_on_and_tries_what_it_was_killed_in_again(
    tune: Callable[..., Tuned], killed: Any, tmp_path: Path
) -> None:
    in_peace = tune(out=tmp_path / "peace" / "out").record
    killed(2)
    with pytest.raises(killed.error):
        tune()
    assert not (tmp_path / "out").exists()
    half = json.loads((tmp_path / "out.tune.json").read_text(encoding="utf-8"))
    assert (len(half["trials"]), half["winner"]) == (1, None)
    told: list[dict[str, Any]] = []
    begun = killed(0)
    tuned = tune(listener=told.append)
    assert begun == [1, 2, 3, 4]
    states = [one["state"] for one in tuned.record["trials"]]
    assert states == ["finished", "died", "finished", "finished"]
    assert tuned.record["trials"][1]["params"] == tuned.record["trials"][2]["params"]
    assert ended(tuned.record) == ended(in_peace)
    assert any("trial 1 was not at its end: it is taken up again" in one.get("say", "") for one in told)


def test_more_trials_are_added_to_those_there_are(tune: Callable[..., Tuned], killed: Any) -> None:
    begun = killed(0)
    first = tune(trials=2)
    with pytest.raises(TunewrightError, match="out: it exists already → pass --force to replace it"):
        tune(trials=3)
    second = tune(trials=3, force=True)
    assert len(begun) == 3
    assert second.record["trials"][:2] == first.record["trials"]
    told: list[dict[str, Any]] = []
    tune({"fit.max_tokens": 32, "seed": 1}, trials=1, force=True, listener=told.append)
    assert len(begun) == 4
    assert any("other rows, settings or objectives: this one starts anew" in one.get("say", "") for one in told)


def test_the_minutes_of_a_process_that_ended_count(tmp_path: Path) -> None:
    run = Run(tmp_path, tmp_path / "out", 1)
    run.work = tmp_path
    Clock(run)
    assert float((tmp_path / "seconds").read_text()) < 1
    (tmp_path / "seconds").write_text("59.5")
    again = Run(tmp_path, tmp_path / "out", 1)
    again.work = tmp_path
    Clock(again).keep()
    assert 59.5 <= again.elapsed < 62
    assert float((tmp_path / "seconds").read_text()) >= 59.5


class Fake:
    """A trial that would be given up after every epoch."""

    number = 7

    def report(self, epoch: int, score: float) -> bool:
        return score < 0.5


def test_what_a_trial_tells_may_end_it(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    run = Run(tmp_path, tmp_path / "out", 1, told.append)
    run.work = tmp_path
    task, _ = describe(TRAIN, text="text", label="intent", settings={"fit.method": "full", "fit.epochs": 3})
    heard = _heard(Fake(), task, run, Clock(run))  # type: ignore[arg-type]
    heard({"event": "progress", "stage": "train", "share": 0.5, "seconds": 1.0, "loss": 2.0})
    assert told[-1] | {"seconds": 0} == {
        "event": "progress",
        "stage": "trial 7: train",
        "share": 0.5,
        "seconds": 0,
        "loss": 2.0,
    }
    epoch = {"event": "epoch", "method": "full", "epoch": 1, "score": 0.9, "say": "epoch 1 of 3"}
    heard(epoch)
    assert told[-1]["say"] == "trial 7: epoch 1 of 3"
    with pytest.raises(_Given):
        heard(epoch | {"score": 0.1})
    heard(epoch | {"score": 0.1, "epoch": 3})  # its last one: nothing is saved by giving up
    heard(epoch | {"score": 0.1, "method": "contrastive"})  # of another method, as in `auto`
    run.interrupted = True
    with pytest.raises(_Cut):
        heard(epoch)


def test_a_trial_that_fails_is_told_and_the_search_goes_on(tune: Callable[..., Tuned]) -> None:
    tuned = tune(trials=2, search={"fit.device": "cpu|tpu"})
    by_device = {one["params"]["fit.device"]: one for one in tuned.record["trials"]}
    assert by_device["cpu"]["state"] == "finished"
    assert by_device["tpu"]["state"] == "failed"
    assert by_device["tpu"]["reason"] == "fit.device = 'tpu' is not known → use auto, cpu or cuda"
    assert tuned.record["frontier"] == [by_device["cpu"]["number"]]


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("words", "problem", "remedy"),
    [
        (["--search", "fit.epoch=1..5"], "search fit.epoch: there is no such setting", "did you mean 'fit.epochs'?"),
        (["--search", "fit.epochs=5..1"], "search fit.epochs = '5..1': upside down", "write 1..5"),
        (["--search", "fit.method=a..b"], "a text has no range", "list choices: a|b|c"),
        (["--search", "fit.epochs"], "--search 'fit.epochs' is not key=values", "--search fit.epochs=1..5"),
        (["--trials", "0"], "--trials 0: there is nothing to try", "pass --trials 1 or more"),
        (["--minutes", "0"], "--minutes 0: no trial fits in", "pass more minutes"),
        (["--objective", "speed"], "there is no objective 'speed'", "use one of: accuracy, latency, size"),
        (["--objective", "latncy"], "there is no objective 'latncy'", "did you mean 'latency'?"),
        (["--minutes", "0.000001"], "no trial was finished in 1e-06 minutes", "pass more --minutes"),
        (["--set", "fit.device=tpu"], "no trial was finished; the last one: fit.device = 'tpu'", "use auto, cpu"),
        (["--set", "gates.acuracy=>= 0.9"], "acuracy", "accuracy"),
    ],
)
def test_bad_input_is_answered_with_place_and_remedy(
    asked: Callable[..., Any], tmp_path: Path, words: list[str], problem: str, remedy: str
) -> None:
    ran = asked("--method", "full", "--trials", "1", "--quiet", *words)
    said = " ".join(ran.err.split())
    assert ran.code == 2, ran.err
    assert problem in said
    assert remedy in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_an_existing_bundle_is_not_replaced_unasked(
    asked: Callable[..., Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "out")
    ran = asked("--quiet")
    assert ran.code == 2
    assert "it exists already" in ran.err
    assert tunewright.load(tmp_path / "out").manifest.digest == tunewright.load(tiny_bundle).manifest.digest


def test_a_missed_gate_refuses_the_winner_and_keeps_the_search(
    asked: Callable[..., Any], tune: Callable[..., Tuned], tmp_path: Path
) -> None:
    words = ("--method", "probe", "--search", "fit.max_tokens=16|64", "--set", "gates.accuracy=>= 0.999")
    ran = asked("--trials", 1, *words)
    assert ran.code == 3, ran.err
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.refused" / "report.html").is_file()
    record = json.loads((tmp_path / "out.tune.json").read_text(encoding="utf-8"))
    assert [one["state"] for one in record["trials"]] == ["finished"]
    again = asked("--trials", 2, *words)
    assert again.code == 3
    more = json.loads((tmp_path / "out.tune.json").read_text(encoding="utf-8"))
    assert more["trials"][:1] == record["trials"]
    assert len(more["trials"]) == 2
    with pytest.raises(GateMissed):
        tune({"gates.accuracy": ">= 0.999"}, trials=1, out=tmp_path / "other")


# ── a real kill ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_search_that_is_killed_by_the_system_ends_as_one_in_peace(
    cli: Callable[..., Any], tiny_backbone: Path, tmp_path: Path
) -> None:
    def words(out: Path) -> list[str]:
        settings = ("fit.threads=1", "fit.precision=fp32", "fit.patience=9")
        given = [word for one in settings for word in ("--set", one)]
        search = ("--search", "fit.epochs=2..4", "--search", "fit.learning_rate=1e-4..1e-2")
        own = ("--backbone", tiny_backbone, "--method", "full", "--trials", 3, "--out", out, *search, *given)
        return [str(word) for word in ("tune", TRAIN, *COLUMNS, *own)]

    command = [sys.executable, "-c", "from tunewright.cli import main; main()", *words(tmp_path / "out")]
    assert cli(*words(tmp_path / "peace" / "out")).code == 0
    for awaited in ("trial 0: epoch 1", "trial 2: epoch 2"):
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
            assert running.stderr is not None
            for line in running.stderr:
                if awaited in line:
                    os.kill(running.pid, signal.SIGKILL)
                    break
        assert running.returncode == -signal.SIGKILL
    assert cli(*words(tmp_path / "out")).code == 0
    records = [
        json.loads(path.read_text()) for path in (tmp_path / "peace" / "out.tune.json", tmp_path / "out.tune.json")
    ]
    assert ended(records[1]) == ended(records[0])
    digests = [tunewright.load(folder).manifest.digest for folder in (tmp_path / "peace" / "out", tmp_path / "out")]
    assert digests[0] == digests[1]
