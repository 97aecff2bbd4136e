"""Compressed copies of the tiny bundle, and rows that steps learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import tunewright
from tunewright import samples
from tunewright.compress._copy import Copy
from tunewright.compress._lessons import Lessons
from tunewright.core import plugins
from tunewright.core.bundle import read_manifest
from tunewright.core.task import Task
from tunewright.train.examples import Part


@pytest.fixture
def lessons(tiny_bundle: Path, sample_rows: dict[str, list[dict[str, str]]]) -> Callable[..., Lessons]:
    """``lessons("static", epochs=1)``: the sample's training rows; the time is never what ends a training."""

    def made(
        student: str = "",
        *,
        rows: int = 60,
        teacher: Path = tiny_bundle,
        unlabelled: Sequence[str] = (),
        **asked: object,
    ) -> Lessons:
        task = Task.model_validate(read_manifest(teacher).task)
        labels = tuple(read_manifest(teacher).targets[0]["labels"])
        targets = (task.targets[0].model_copy(update={"labels": labels}),)
        told = {"minutes": 60.0, "epochs": 1, **asked}
        fit = task.fit.model_copy(update={"threads": 1})
        task = task.model_copy(
            update={"targets": targets, "fit": fit, "compress": task.compress.model_copy(update=told)}
        )
        own = sample_rows["support_train.csv"][:rows]
        part = Part({"text": [one["text"] for one in own]}, [one["intent"] for one in own])
        return Lessons(teacher, task, part, {"text": list(unlabelled)} if unlabelled else {}, student, lambda _: None)

    return made


@pytest.fixture(scope="session")
def blend(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """``blend(backbone)``: a bundle of that method, so with n-grams beside its tokens."""

    def made(backbone: Path) -> Path:
        out = tmp_path_factory.mktemp("blended") / "blend"
        own = {"fit.backbone": str(backbone), "fit.method": "blend", "fit.threads": 1}
        tunewright.fit(samples.path("support_train.csv"), text="text", label="intent", out=out, settings=own)
        return out

    return made


@pytest.fixture
def make(tiny_bundle: Path, tmp_path: Path) -> Callable[..., Copy]:
    """``make("int8", "per tensor")``: the copy after one step, sealed."""

    def made(
        step: str,
        setting: str,
        texts: Sequence[str] = (),
        name: str = "copy",
        lessons: Lessons | None = None,
        bundle: Path = tiny_bundle,
    ) -> Copy:
        copy = Copy.of(bundle, tmp_path / name, [list(texts)], lessons)
        plugins.load("compress", step).run(copy, setting)
        copy.sealed(step, setting, "sha256:whole")
        return copy

    return made
