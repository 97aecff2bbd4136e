"""From rows to a fitted model: choose the backbone, encode the parts, climb the ladder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tunewright.backbones._catalogue import Found
from tunewright.backbones._load import load
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.task import Target, Task
from tunewright.core.types import Kind
from tunewright.train import device
from tunewright.train.context import Context, Examples, Fitted
from tunewright.train.ladder import Rung, climb

Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Part:
    """Rows of one part as the training side needs them.

    inputs : input column → n raw values; truth : n raw values of the target
    """

    inputs: Columns
    truth: Sequence[Any]


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


def encode(part: Part, columns: Sequence[str], backbone: LoadedBackbone, kind: Kind) -> Examples:
    """Windows and truth of one part."""
    windows = backbone.modality.windows([part.inputs[column] for column in columns])
    truth = kind.encode(part.truth)
    return Examples(windows, truth, kind.spread(truth, windows))


def learn(
    task: Task, target: Target, train: Part, validation: Part, held_out: Part, backbone: LoadedBackbone, run: Run
) -> tuple[Context, Fitted, list[Rung]]:
    """Fit the task's method (or climb the ladder) on the training part, judged on the validation part.

    held_out : what the exported graphs will be compared and judged on; only its size is looked at here
    """
    where, bf16 = device.choose(task.fit)
    options = target.model_dump()
    both = [*train.truth, *validation.truth]
    kind = plugins.load("kinds", target.kind).learn(both if not target.labels else train.truth, options)
    backbone = replace(backbone, encoder=backbone.encoder.to(where))
    columns = list(task.inputs)
    context = Context(
        task=task,
        target=target,
        kind=kind,
        backbone=backbone,
        train=encode(train, columns, backbone, kind),
        validation=encode(validation, columns, backbone, kind),
        run=run,
        device=where,
        bf16=bf16,
        held_out=encode(held_out, columns, backbone, kind),
    )
    with device.threads(task.fit.threads):
        fitted, rungs = climb(context)
    return context, fitted, rungs
