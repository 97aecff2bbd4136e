"""A copy's network as the backbone of a training, and what was trained as the copy's graphs again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from tunewright.backbones._catalogue import Found
from tunewright.backbones._encoder import Encoder
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.compress._copy import Copy
from tunewright.compress._lessons import Lessons, Taught
from tunewright.compress._teaching import KINDS
from tunewright.core import plugins
from tunewright.core.bundle import Manifest, read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.switch import run_folder
from tunewright.core.types import Kind
from tunewright.heads._several import SeveralHead
from tunewright.kinds._several import Several, Single
from tunewright.train import device
from tunewright.train.assemble import assemble
from tunewright.train.context import Context
from tunewright.train.fitted import Fitted
from tunewright.train.learn import together
from tunewright.train.rebuild import rebuild


@dataclass(frozen=True)
class Network:
    """A bundle's encoder and heads, to be trained.

    head : of the one target, or the heads of several in their order
    """

    backbone: LoadedBackbone
    found: Found
    heads: tuple[nn.Module, ...]

    def narrowed_to(self, encoder: Encoder) -> LoadedBackbone:
        """The backbone with a smaller encoder in place of its own, and a config that says its sizes."""
        config = plugins.load("backbones", self.backbone.family).resized(self.backbone.config, encoder.shape)
        return replace(self.backbone, encoder=encoder, config=config)


def lessons_of(copy: Copy, step: str) -> Lessons:
    """The rows to learn from.

    Raises
    ------
    TunewrightError
        There are none, or the bundle has a target that no teacher is there for.
    """
    lessons = copy.lessons
    if lessons is None:
        raise TunewrightError(
            f"{step} learns, and there are no rows that it may learn from",
            "pass --train train.csv: never those that judge",
        )
    for one in copy.manifest.targets:
        if one["kind"] not in KINDS:
            raise TunewrightError(f"{step} does not fit kind {one['kind']!r} of {one['name']!r}", f"leave {step} out")
    return lessons


def network_of(folder: Path, step: str) -> Network:
    """The network of a bundle.

    Raises
    ------
    TunewrightError
        It has no weights that can be trained: none lie in it, they are in 8 bits, or it reads no tokens.
    """
    try:
        network = rebuild(folder)
    except TunewrightError as error:
        remedy = without_words(step) if "text_ngrams" in read_manifest(folder).modalities else _remedy(step)
        raise TunewrightError(error.problem.replace("gradients", "weights to train"), remedy) from None
    about = network.manifest.backbone
    for module in (network.encoder, *network.heads.values()):
        module.requires_grad_(True)
    backbone = LoadedBackbone(
        about["family"], "text", network.modality, network.encoder, about["width"], about["pooling"], about["config"]
    )
    found = Found(about["name"], folder, "bundle", about["digest"], False, about["licence"])
    return Network(backbone, found, tuple(network.heads.values()))


def without_words(step: str) -> str:
    """The remedy where n-grams stand beside the tokens."""
    return f"fit a bundle without words in it (--method full, or --set fit.blend=false), or leave {step} out"


def head_of(context: Context, network: Network) -> nn.Module:
    """The heads as one, with a loss."""
    head = context.new_head()
    own = list(head.heads) if isinstance(head, SeveralHead) else [head]
    for one, trained in zip(own, network.heads, strict=True):
        one.pooled.load_state_dict(trained.state_dict())  # type: ignore[union-attr]
    return head


def _remedy(step: str) -> str:
    return f'leave {step} out, or put it before what makes weights smaller: --to "{step},int8"'


def kind_of(manifest: Manifest) -> Kind:
    """The kind of a bundle's target without its calibration; of several targets, the one that they are together."""
    singles = []
    for one in manifest.targets:
        kind = plugins.load("kinds", one["kind"]).load(one["spec"])
        singles.append(Single(one["name"], one["kind"], kind.raw() if hasattr(kind, "raw") else kind))
    return singles[0].kind if len(singles) == 1 else Several(tuple(singles))


@contextmanager
def training(
    copy: Copy, lessons: Lessons, backbone: LoadedBackbone, found: Found, *, epochs: int
) -> Iterator[tuple[Context, Taught]]:
    """A training that starts from a backbone, on a clock of its own."""
    told, asked = lessons.taught, lessons.task.compress
    fit = lessons.task.fit.model_copy(
        update={
            "method": "full",
            "epochs": asked.epochs or epochs,
            "patience": asked.epochs or epochs,
            "minutes": asked.minutes,
            "learning_rate": asked.learning_rate,
            **dict.fromkeys(("soup", "ensemble", "oversample"), 0),
            "workers": 1,
            "layer_decay": 1.0,
            "shared": False,  # what comes out stands on no backbone that others could share
        }
    )
    task = lessons.task.model_copy(update={"fit": fit, "objectives": {}})
    train, validation = (told.part.take(index.tolist()) for index in (told.train, told.validation))
    parts = {"train": train, "validation": validation, "held_out": validation}
    folder = run_folder(copy.folder)
    folder.mkdir()
    try:
        run = Run(folder, copy.folder, asked.minutes, lessons.listener)
        run.work.mkdir()
        where, bf16 = device.choose(fit)
        target = together(task.targets)
        with device.threads(fit.threads):
            yield (
                Context(task, target, kind_of(copy.manifest), parts, run, where, bf16, lambda: (backbone, found)),
                told,
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def put_back(copy: Copy, context: Context, fitted: Fitted) -> None:
    """The trained model as the copy's files; graphs, calibration and reference are made anew.

    Raises
    ------
    TunewrightError
        The exported graphs do not say what the trained model says.
    """
    old = copy.manifest
    shutil.rmtree(copy.folder)
    copy.folder.mkdir()
    told: Mapping[str, Any] = {"name": old.name, "task": old.task, "data": old.data, "run": old.run}
    manifest, _ = assemble(copy.folder, context, fitted, **told)
    copy.manifest = replace(manifest, method=manifest.method | {"compressed": old.method.get("compressed", [])})
