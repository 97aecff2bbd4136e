"""From rows to a fitted model: choose the backbone, encode the parts, climb the ladder."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tunewright.backbones._catalogue import Found
from tunewright.backbones._load import load
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.task import Target, Task
from tunewright.objectives._wrapped import check
from tunewright.train import device
from tunewright.train.context import Context, Fitted, Part
from tunewright.train.ladder import Rung, climb


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
    return backbone, found


def prepare(
    task: Task,
    target: Target,
    parts: Mapping[str, Part],
    language: str,
    run: Run,
    heard: Callable[[LoadedBackbone, Found], None] = lambda backbone, found: None,
) -> Context:
    """Everything that a method may use.

    parts : ``train``, ``validation`` and ``held_out``
    heard : called with the backbone as soon as one is chosen
    """
    check(task, target.kind)
    where, bf16 = device.choose(task.fit)
    train, validation = parts["train"], parts["validation"]
    values = [*train.truth, *validation.truth] if not target.labels else train.truth
    kind = plugins.load("kinds", target.kind).learn(values, target.model_dump())

    def chosen() -> tuple[LoadedBackbone, Found]:
        backbone, found = choose_backbone(task, language)
        heard(backbone, found)
        return backbone, found

    return Context(task, target, kind, parts, run, where, bf16, chosen)


def learn(context: Context) -> tuple[Fitted, list[Rung]]:
    """Fit the task's method (or climb the ladder) on the training part, judged on the validation part."""
    with device.threads(context.task.fit.threads):
        return climb(context)
