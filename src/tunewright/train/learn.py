"""From rows to a fitted model: choose the backbone, encode the parts, climb the ladder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tunewright.backbones._catalogue import Found
from tunewright.backbones._encoder import Encoder
from tunewright.backbones._load import load
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.sections import Target
from tunewright.core.task import Task
from tunewright.core.types import Kind
from tunewright.kinds._several import SEVERAL, Several
from tunewright.objectives._wrapped import check
from tunewright.train import device, fairness, take, unsure
from tunewright.train.context import Context
from tunewright.train.examples import Part
from tunewright.train.fitted import Fitted
from tunewright.train.ladder import Rung, climb
from tunewright.train.trial import try_export
from tunewright.train.typos import mistyped


def choose_backbone(task: Task, language: str) -> tuple[LoadedBackbone, Found]:
    """The task's backbone; for ``auto``, by the language of the rows."""
    name = task.fit.backbone
    if name == "auto":
        name = "minilm-en" if language == "en" else "e5-small"
    backbone, found = load(name, task.fit)
    strange = set(task.inputs.values()) - {backbone.modality_name}
    if strange:
        raise TunewrightError(
            f"backbone {name!r} reads {backbone.modality_name}, not {', '.join(sorted(strange))}",
            "choose a backbone of that modality, or change inputs in the task",
        )
    return masking(backbone, task.privacy.mask), found


def masking(backbone: LoadedBackbone, names: tuple[str, ...]) -> LoadedBackbone:
    """The backbone with a modality that masks these kinds of personal data, in training and wherever it is served.

    Raises
    ------
    TunewrightError
        It does not read texts.
    """
    if not names:
        return backbone
    modality: Any = backbone.modality
    if not hasattr(modality, "mask"):
        raise TunewrightError(f"privacy.mask does not fit inputs that are {backbone.modality_name}", "leave it out")
    return replace(backbone, modality=replace(modality, mask=names))


def prepare(
    task: Task,
    target: Target,
    parts: Mapping[str, Part],
    language: str,
    run: Run,
    heard: Callable[[LoadedBackbone, Found], None] = lambda backbone, found: None,
) -> Context:
    """Everything that a method may use.

    target : the task's own, or ``together`` for several
    parts : ``train``, ``validation`` and ``held_out``
    heard : called with the backbone as soon as one is chosen
    """
    check(task, target.kind)
    take.check(task, target.kind)
    take.check_private(task, target.kind)
    unsure.check(task, task.targets, parts["validation"])
    where, bf16 = device.choose(task.fit)
    fairness.check(task, target.kind)
    kind = learnt_kind(task, target, parts["train"], parts["validation"])
    parts = fairness.treated(task, parts, language, run)
    parts = {**parts, "train": mistyped(task, parts["train"], language, run)}

    def chosen() -> tuple[LoadedBackbone, Found]:
        backbone, found = choose_backbone(task, language)
        heard(backbone, found)
        if not isinstance(backbone.encoder, Encoder):
            try_export(backbone, found, [parts["train"].inputs[column] for column in task.inputs], run)
        return backbone, found

    return Context(task, target, kind, parts, run, where, bf16, chosen)


def together(targets: Sequence[Target]) -> Target:
    """The one target that a task's targets are for a method: the single one itself, or what stands for several."""
    return targets[0] if len(targets) == 1 else Target(name="targets", kind=SEVERAL)


def learnt_kind(task: Task, target: Target, train: Part, validation: Part) -> Kind:
    """The kind of a target (or of all together), from its values in the rows that are learnt from and chosen by."""
    values = [*train.truth, *validation.truth] if not target.labels else train.truth
    if target.kind == SEVERAL:
        return Several.learn(values, {"targets": [one.model_dump() for one in task.targets]})
    learnt: Kind = plugins.load("kinds", target.kind).learn(values, target.model_dump())
    return learnt


def learn(context: Context, *, baseline: bool = True) -> tuple[Fitted, list[Rung]]:
    """Fit the task's method (or climb the ladder) on the training part, judged on the validation part."""
    with device.threads(context.task.fit.threads):
        return climb(context, baseline=baseline)
