"""Trainings in other processes: what travels, what comes back, and what happens when a worker dies. With a real Ray."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch

import tunewright
from tunewright import samples
from tunewright.core import plugins
from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.core.run import Run
from tunewright.train.course import Model
from tunewright.train.loop import descend
from tunewright.train.workers import away as workers
from tunewright.train.workers import cluster, worker
from tunewright.train.workers.away import elsewhere
from tunewright.train.workers.parcel import Parcel, opened, pack
from tunewright.train.workers.post import AwayRun, Letter, Office, Orders, OverError, read_out
from tunewright.train.workers.team import Team
from tunewright.train.workers.worker import Job, Made

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 2, "fit.learning_rate": 3e-3, "fit.batch_rows": 16, "fit.average": 0.0, "fit.patience": 9}
STEPS = 10


def with_ray(test: Callable[..., None]) -> Callable[..., None]:
    """A test that takes its time, and in which Ray leaves sockets and files to the end of the process."""
    for mark in ("ignore:unclosed:ResourceWarning", "ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning"):
        test = pytest.mark.filterwarnings(mark)(test)
    return pytest.mark.slow(test)


@pytest.fixture
def quiet_backbone(tiny_backbone: Path, tmp_path: Path) -> Path:
    """The tiny backbone without dropout."""
    folder = tmp_path / "quiet"
    folder.mkdir()
    for path in tiny_backbone.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One that all tests share which ask for it: whatever finds itself connected uses that connection."""
    with cluster.opened(None, 2):
        yield


def told(run: Any, event: str) -> list[dict[str, Any]]:
    return [record for record in run.told if record["event"] == event]


def through_parcels(context: Any) -> None:
    """Let trainings travel there and back, and be made in this process."""
    names = iter(f"{at}.pt" for at in range(99))

    def travel(course: Any, model: Any) -> Any:
        away = Run(context.run.folder, context.run.out, 5.0)
        away.work = context.run.work
        there, trained = opened(pack(context.run.work / next(names), (course, model)), away)
        assert there.run is away
        made = opened(pack(context.run.work / next(names), Made.of(there, trained)), context.run)
        made.put_into(course, model)
        return made.best, made.told

    context.run.elsewhere = travel


@pytest.mark.parametrize("method", [*sorted(set(plugins.names("methods")) - {"lexical", "probe"})])
def test_every_training_can_travel(method: str, make_context: Make) -> None:
    """The same result as of one that stayed at home, to the bit."""
    if getattr(plugins.load("methods", method), "SECRET", False):
        pytest.skip("its noise comes from the system, so no two trainings are alike")
    settings = SETTINGS | {"fit.epochs": 1, "fit.method": method, "fit.learning_rate": 0.0}
    home, away = make_context("classify", settings), make_context("classify", settings)
    through_parcels(away)
    one, other = (plugins.load("methods", method).fit(context) for context in (home, away))
    assert np.array_equal(one.validation_logits, other.validation_logits)
    for name, value in one.encoder.state_dict().items():
        assert torch.equal(value, other.encoder.state_dict()[name])
    assert one.facts == other.facts


def test_objectives_travel_too(make_context: Make) -> None:
    objectives = {"rdrop": 1.0, "fgm": 0.1, "supcon": 0.1, "class_weight": 0.5}
    settings = SETTINGS | {f"objectives.{name}": value for name, value in objectives.items()}
    runs = [make_context("classify", settings) for _ in range(2)]
    through_parcels(runs[1])
    models = [Model(context.copy_of_encoder(), context.new_head()) for context in runs]
    for context, model in zip(runs, models, strict=True):
        descend(context.course("full", model), model)
    assert all(torch.equal(*pair) for pair in zip(models[0].parameters(), models[1].parameters(), strict=True))


def test_a_parcel_that_is_not_what_was_sent_is_not_opened(tmp_path: Path) -> None:
    run = Run(tmp_path, tmp_path / "out", 1.0)
    parcel = pack(tmp_path / "a.pt", {"x": torch.ones(2)})
    assert opened(parcel, run)["x"].tolist() == [1, 1]
    parcel.path.write_bytes(parcel.path.read_bytes() + b" ")
    for wrong in (parcel, Parcel(tmp_path / "gone.pt", parcel.digest)):
        with pytest.raises(TunewrightError, match="a worker does not find there .* → choose an --out in a folder that"):
            opened(wrong, run)


def test_a_mapped_array_is_mapped_again_and_shared_memory_stays_shared(tmp_path: Path) -> None:
    np.save(tmp_path / "states.npy", np.arange(100_000.0))
    mapped = np.load(tmp_path / "states.npy", mmap_mode="r")
    tensor = torch.zeros(1000)
    parcel = pack(tmp_path / "a.pt", {"whole": mapped, "part": mapped[5:10], "one": tensor, "other": tensor[:10]})
    assert parcel.path.stat().st_size < 20_000
    back = opened(parcel, Run(tmp_path, tmp_path / "out", 1.0))
    assert isinstance(back["whole"], np.memmap)
    assert np.array_equal(back["whole"], mapped)
    assert back["part"].tolist() == [5, 6, 7, 8, 9]
    back["one"][0] = 7
    assert back["other"][0] == 7


def test_the_run_of_a_worker_tells_that_of_the_command(tmp_path: Path) -> None:
    office, sent = Office(), []

    def tell(letters: list[Letter]) -> Orders:
        sent.append(len(letters))
        return office.tell("box", letters)

    office.fetch({"box": Orders(elapsed=50.0)})
    away = AwayRun(tmp_path / "none", tmp_path / "out", 60.0, tmp_path / "work", tell)
    assert 50 <= away.elapsed < 51
    assert away.left < 10
    away.progress("embed", 0.5)
    away.note("begin", method="full")
    away.log("epoch", score=0.25)
    assert sum(sent) == 3
    heard: list[dict[str, Any]] = []
    home = Run(tmp_path, tmp_path / "out", 60.0, heard.append)
    read_out(office.fetch({"box": Orders(51.0, interrupted=True)})["box"], home)
    assert [(record["event"], record.get("share"), record.get("score")) for record in heard] == [
        ("progress", 0.5, None),
        ("epoch", None, 0.25),
    ]
    assert home.elapsed >= 50
    away.log("more")
    assert away.interrupted
    office.fetch({"box": Orders(52.0, over=True)})
    with pytest.raises(OverError):
        away.log("more")
    silent = AwayRun(tmp_path, tmp_path / "out", 60.0, tmp_path, None)
    silent.log("nothing")
    assert not list(tmp_path.glob("none"))


def test_a_worker_with_other_libraries_is_refused(tmp_path: Path) -> None:
    parcel = Parcel(tmp_path / "course.pt", "")
    job = Job(parcel, tmp_path, tmp_path, tmp_path, 60.0, 1, 1.0, False, 1, 0, ("0.0.1", "2.0", "2.0"))
    with pytest.raises(TunewrightError, match=r"a worker on .* has tunewright .*, not 0.0.1, 2.0, 2.0 → install the s"):
        worker._trained(job, Team(), 1, lambda letters: Orders())


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    for verb in (tunewright.fit, tunewright.tune):
        with pytest.raises(MissingExtra, match=r"several processes needs ray, .* → pip install 'tunewright\[ray\]'"):
            verb(
                samples.path("support_train.csv"),
                text="text",
                label="intent",
                out=tmp_path / "out",
                settings={"fit.workers": 2},
            )


def test_without_workers_ray_is_not_imported() -> None:
    code = "import sys, tunewright.pipeline.workers, tunewright.pipeline.tune, tunewright.train.learn as _; "
    done = subprocess.run([sys.executable, "-c", code + "print('ray' in sys.modules)"], capture_output=True, text=True)
    assert done.stdout.split() == ["False"], done.stderr


@pytest.mark.parametrize("address", ["somewhere", "ray://host", "http://host:80/x", "ray://host:99999"])
def test_what_is_no_address_is_said(address: str) -> None:
    said = f"--cluster '{address}' is no address → write for example --cluster ray://HOST:10001"
    with pytest.raises(TunewrightError) as raised, cluster.opened(address, 2):
        pass
    assert str(raised.value) == said


def test_the_command_ends_before_any_training_where_there_is_no_cluster(cli: Make, tmp_path: Path) -> None:
    rows = samples.path("support_train.csv")
    ran = cli("fit", rows, "--text", "text", "--label", "intent", "--out", tmp_path / "out", "--cluster", "somewhere")
    assert (ran.code, "--cluster 'somewhere' is no address" in ran.err) == (2, True)
    assert "lexical" not in ran.err


def test_a_cluster_that_is_not_there_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{free.getsockname()[1]}"
    begun = time.monotonic()
    with (
        pytest.raises(TunewrightError, match=f"{address}: no cluster answers there: .* → start it there with `ray sta"),
        cluster.opened(address, 2),
    ):
        pass
    assert time.monotonic() - begun < 12


@with_ray
def test_one_that_takes_the_connection_and_says_nothing_is_given_up() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        address = f"ray://127.0.0.1:{deaf.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(TunewrightError, match=f"{address}: it cannot be used: "), cluster.opened(address, 2):
            pass
    assert time.monotonic() - begun < 30


@with_ray
def test_a_fit_starts_its_own_ray_and_stops_it(
    quiet_backbone: Path, tmp_path: Path, traced_once: None, cli: Make
) -> None:
    rows = samples.path("support_train.csv")
    given = ["--text", "text", "--label", "intent", "--out", tmp_path / "out", "--backbone", quiet_backbone]
    sets = ["--set", "fit.epochs=1", "--set", "fit.threads=2", "--method", "full"]
    ran = cli("fit", rows, *given, *sets, "--workers", 2)
    assert ran.code == 0, ran.err
    assert not ray.is_initialized()
    assert "works on a local Ray for 2 workers" in ran.err
    assert "(1 + 1 threads)" in ran.err
    assert ran.out == ""
    manifest = tunewright.load(tmp_path / "out").manifest
    assert manifest.method["workers"] == 2
    assert manifest.task["fit"]["workers"] == 1


def dying(course: Any, folder: Path, deaths: int, at: int, way: str) -> Any:
    """A checkpoint after every step; the second worker ends at step ``at`` of its own, so many times."""
    inner = course.step

    def stepped(model: Any, piece: Any) -> Any:
        import os
        import signal

        import torch.distributed as dist

        from tunewright.train import checkpoint

        checkpoint.SECONDS, checkpoint.SHARE = 0.0, float("inf")
        calls.append(1)
        died = len(list(folder.glob("died-*")))
        if len(calls) == at and dist.get_rank() == 1 and died < deaths:
            (folder / f"died-{died}").touch()
            if way == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise RuntimeError("the machine is on fire")
        return inner(model, piece)

    def judge(model: Any) -> tuple[float, str]:
        """Each is better than the one before, so that the last weights are the best."""
        return time.time(), "outputs"

    calls: list[int] = []
    return replace(course, step=stepped, judge=judge)


@with_ray
def test_a_worker_that_is_killed_is_started_again_and_the_end_is_the_same(
    local_ray: None, quiet_backbone: Path, make_context: Make, tmp_path: Path
) -> None:
    settings = SETTINGS | {"fit.workers": 2, "fit.threads": 2}
    context = make_context("classify", settings, backbone=quiet_backbone)
    alone = make_context("classify", settings, backbone=quiet_backbone)
    models = [Model(one.copy_of_encoder(), one.new_head()) for one in (context, alone)]
    with elsewhere(context.run, context.task.fit):
        course = dying(context.course("full", models[0]), tmp_path, 1, 8, "kill")
        best, facts = descend(course, models[0])
    assert len(list(tmp_path.glob("died-*"))) == 1
    assert (best.outputs, facts["steps"], facts["workers"]) == ("outputs", STEPS, 2)
    (began,), (restart,), (resumed,) = (told(context.run, event) for event in ("workers", "restart", "resumed"))
    assert len({one["pid"] for one in began["workers"] + restart["workers"]} - {os.getpid()}) >= 3
    assert "were started again (1 of at most 3)" in restart["say"]
    assert resumed["step"] == 7
    assert not (context.run.work / "workers").exists()
    descend(replace(alone.course("full", models[1]), judge=course.judge), models[1])
    start = Model(alone.copy_of_encoder(), alone.new_head())

    def apart(one: Model, other: Model) -> float:
        pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
        return max(float((a - b).abs().max()) for a, b in pairs)

    assert apart(models[1], start) > 1e-2
    assert apart(models[1], models[0]) < 1e-4


@with_ray
def test_one_that_fails_again_and_again_is_an_error_that_tells_what_it_said(
    local_ray: None, make_context: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "FAILURES", 1)
    context = make_context("classify", SETTINGS | {"fit.workers": 2, "fit.threads": 1})
    model = Model(context.copy_of_encoder(), context.new_head())
    with elsewhere(context.run, context.task.fit), pytest.raises(TunewrightError) as raised:
        descend(dying(context.course("full", model), tmp_path, 9, 2, "raise"), model)
    assert raised.value.problem.startswith("full: the workers failed 2 times; the last time: worker 1 on ")
    assert raised.value.problem.endswith("failed: RuntimeError: the machine is on fire")
    assert "goes on from the last checkpoint" in raised.value.remedy
    texts = [record["text"] for record in told(context.run, "worker failed")]
    assert sum("the machine is on fire" in text for text in texts) == 2
    assert context.run.elsewhere is None


@with_ray
def test_trials_run_side_by_side_and_one_whose_process_dies_is_tried_again(
    local_ray: None, tiny_backbone: Path, tmp_path: Path, traced_once: None
) -> None:
    told: list[dict[str, Any]] = []
    under_way: set[int] = set()
    most = 0

    def listen(record: dict[str, Any]) -> None:
        nonlocal most
        told.append(record)
        if record["event"] == "begun":
            under_way.add(record["trial"])
            most = max(most, len(under_way))
            if sum(one["event"] == "begun" for one in told) == 1:
                os.kill(record["pid"], signal.SIGKILL)
        elif record["event"] == "trial":
            under_way.discard(record["trial"]["number"])

    tuned = tunewright.tune(
        samples.path("support_train.csv"),
        text="text",
        label="intent",
        out=tmp_path / "out",
        trials=3,
        search={"fit.max_tokens": "8|12|16|24"},
        settings={"fit.workers": 2, "fit.method": "probe", "fit.backbone": str(tiny_backbone), "fit.threads": 2},
        listener=listen,
    )
    states = [one["state"] for one in tuned.record["trials"]]
    assert states == ["finished"] * 3
    assert len({one["params"]["fit.max_tokens"] for one in tuned.record["trials"]}) == 3
    assert most == 2
    (died,) = [record for record in told if record["event"] == "died"]
    assert "its process died; it is tried again" in died["say"]
    assert any("2 trials at a time, on the Ray that is connected" in record.get("say", "") for record in told)
