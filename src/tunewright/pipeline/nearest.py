"""The training rows that a model sees as most like a text: what it may have learnt its answer from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.core.errors import TunewrightError
from tunewright.data.dataset import read
from tunewright.data.rows import columns_of, rows_of
from tunewright.pipeline.tasks import Source, plain_data, task_of
from tunewright.runtime.predictor import Predictor

AT_ONCE = 4_096
"""Rows that are embedded at a time."""


@dataclass(frozen=True)
class Near:
    """One training row.

    place : where it lies, such as ``train.csv line 12``
    similarity : cosine of its vector and that of the text, 1 at most
    texts : input column → what the model reads; labels : target → its value, None where the row has none
    """

    place: str
    similarity: float
    texts: dict[str, str]
    labels: dict[str, Any]


def nearest_rows(
    predictor: Predictor,
    row: Mapping[str, str],
    train: Source,
    count: int,
    options: Mapping[str, Any] | None = None,
) -> list[Near]:
    """The ``count`` rows of ``train`` whose vectors are nearest to that of ``row``, the nearest first.

    options : how to read them, as in ``[data]`` of a task; default: with the names and the layout of the training rows

    Raises
    ------
    TunewrightError
        The bundle gives no vectors, a column is missing, or ``count`` is below 1.
    """
    if count < 1:
        raise TunewrightError(f"the {count} nearest rows are none", "ask for at least 1, such as --nearest 5")
    manifest = predictor.manifest
    if "embed" not in manifest.parts:
        raise TunewrightError(f"bundle {manifest.name!r} gives no vectors of its rows", "leave out --train")
    task = task_of(manifest)
    task = task.model_copy(update={"data": plain_data(task).model_copy(update=dict(options or {}))})
    rows = rows_of(read(train, task.data, columns_of(task, split=False, groups=False)), task)
    if not len(rows):
        raise TunewrightError(f"{rows.dataset.source}: it has no rows", "name the file that the model learnt from")
    columns = [rows.inputs[name] for name in manifest.inputs]
    (here,) = predictor.embed([dict(row)])
    similarity = np.concatenate([_embedded(predictor, columns, at) @ here for at in range(0, len(rows), AT_ONCE)])
    found = np.argsort(-similarity, kind="stable")[:count].tolist()
    read_as = predictor.as_read([[values[at] for at in found] for values in columns])
    return [
        Near(
            rows.place(at),
            float(similarity[at]),
            dict(zip(manifest.inputs, texts, strict=True)),
            {name: values[at] for name, values in rows.targets.items()},
        )
        for at, texts in zip(found, zip(*read_as, strict=True), strict=True)
    ]


def _embedded(predictor: Predictor, columns: Sequence[Sequence[Any]], start: int) -> Any:
    names = predictor.manifest.inputs
    return predictor.embed({name: values[start : start + AT_ONCE] for name, values in zip(names, columns, strict=True)})
