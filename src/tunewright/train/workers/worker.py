"""One of the processes that make a training together, and the group that they are; what runs on the cluster."""

from __future__ import annotations

import os
import platform
import traceback
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import ray
import torch
import torch.distributed as dist
from torch import Tensor, nn

from tunewright.core.errors import TunewrightError
from tunewright.runtime.threads import available
from tunewright.train import device
from tunewright.train.course import Best, Course
from tunewright.train.loop import descend_here
from tunewright.train.moving import Moving
from tunewright.train.workers.parcel import Parcel, opened, pack
from tunewright.train.workers.post import AwayRun, Letter, Orders, OverError
from tunewright.train.workers.team import ALONE, Team

WAIT_SECONDS = 1800
"""A worker that waits longer for the others gives up; the first one may judge as long."""
LIBRARIES = ("tunewright", "torch", "numpy")
"""Those that must be the same on all machines."""
BOX = "training"


@dataclass(frozen=True)
class Made:
    """What came of a training.

    carried : of the course; buffers : of the model, by name
    """

    best: Best
    told: dict[str, Any]
    carried: dict[str, Tensor]
    buffers: dict[str, Tensor]

    @classmethod
    def of(cls, course: Course, model: nn.Module, team: Team = ALONE) -> Self:
        """Make the training here, as one of a team."""
        best, told = descend_here(course, model, team)
        return cls(best, told, dict(course.carried), dict(model.named_buffers()))

    @torch.no_grad()
    def put_into(self, course: Course, model: nn.Module) -> None:
        """Let course and model be as if they had been trained themselves."""
        Moving(model.to(course.device), 0.0).restore(self.best.values)
        for name, one in course.carried.items():
            one.copy_(self.carried[name])
        for name, one in model.named_buffers():
            one.copy_(self.buffers[name])


@dataclass(frozen=True)
class Job:
    """One training, as its workers are told of it.

    parcel : course and model; folder, out, work, seconds : of the run
    cpus : that each worker asks for; threads : of all workers on one machine, 0 = what its quota allows
    """

    parcel: Parcel
    folder: Path
    out: Path
    work: Path
    seconds: float
    workers: int
    cpus: float
    gpu: bool
    threads: int
    failures: int
    versions: tuple[str, ...]


def group(job: Job, office: Any) -> None:
    """On the cluster: the group of workers, started again where one fails."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    TorchTrainer(
        _work,
        train_loop_config={"job": job, "office": office},
        torch_config=TorchConfig(backend="gloo", timeout_s=WAIT_SECONDS),
        scaling_config=ScalingConfig(num_workers=job.workers, use_gpu=job.gpu, resources_per_worker=_resources(job)),
        run_config=RunConfig(
            name="training",
            storage_path=str(job.parcel.path.parent / "ray"),
            failure_config=FailureConfig(max_failures=job.failures, controller_failure_limit=job.failures),
        ),
    ).fit()


def _resources(job: Job) -> dict[str, float]:
    return {"CPU": job.cpus, "GPU": 1.0} if job.gpu else {"CPU": job.cpus}


def _work(config: dict[str, Any]) -> None:
    """One worker, from its beginning to its end."""
    from ray.train import get_context

    job, office, context = config["job"], config["office"], get_context()
    team = Team(context.get_world_rank(), context.get_world_size())

    def tell(letters: list[Letter]) -> Orders:
        orders: Orders = ray.get(office.tell.remote(BOX, letters))
        return orders

    try:
        _trained(job, team, context.get_local_world_size(), tell)
    except OverError:
        raise
    except TunewrightError as error:
        tell([("refused", (error,), {}, 0.0)])
        raise
    except BaseException:
        tell([("failed", (team.rank, platform.node(), traceback.format_exc()), {}, 0.0)])
        raise


def _trained(job: Job, team: Team, here: int, tell: Any) -> None:
    """here : how many workers share this machine"""
    if versions() != job.versions:
        other = ", ".join(f"{name} {one}" for name, one in zip(LIBRARIES, versions(), strict=True))
        theirs = ", ".join(job.versions)
        raise TunewrightError(f"a worker on {platform.node()} has {other}, not {theirs}", "install the same there")
    run = AwayRun(job.folder, job.out, job.seconds, job.work, tell if team.first else None)
    course, model = opened(job.parcel, run)
    with device.threads(max(1, (job.threads or available()) // here)) as threads:
        places: list[Any] = [None] * team.size
        dist.all_gather_object(places, (platform.node(), os.getpid(), threads))
        if team.first:
            tell([("begun", (places,), {}, 0.0)])
        made = Made.of(course, model, team)
    if team.first:
        run.send()
        tell([("made", (pack(job.parcel.path.with_name("made.pt"), made),), {}, 0.0)])


def versions() -> tuple[str, ...]:
    """Of the libraries that must be the same everywhere."""
    return tuple(version(name) for name in LIBRARIES)
