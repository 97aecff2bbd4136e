"""A bundle in use: answers for files of any size, what it is, and a form for other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tunewright.core import plugins
from tunewright.core.bundle import Manifest, Part, read_manifest, verify
from tunewright.core.errors import TunewrightError, nearest
from tunewright.data.dataset import stream
from tunewright.data.frames import as_texts
from tunewright.kinds._laid_out import columns_of
from tunewright.pipeline.extras import training
from tunewright.pipeline.tasks import Source, plain_data, task_of
from tunewright.runtime.predictor import load


def predict(
    folder: str | Path,
    source: Source,
    *,
    top: int = 0,
    error: float | None = None,
    prefix: str = "",
    options: Mapping[str, Any] | None = None,
    name: str = "",
) -> Iterator[pl.DataFrame]:
    """The source's rows, chunk by chunk, with the answers as further columns (polars frames); memory stays flat.

    Of several targets the columns bear the names: ``prediction_NAME``, ``score_NAME``.

    top : how many candidates each answer lists
    error : rate at which sets of labels may miss the true one; default: what the task says
    prefix : put before the names of the added columns
    options : how to read the rows, as in ``[data]`` of a task; default: with the names and the layout of the training
        rows
    name : what messages call the source, where that is not its path

    Raises
    ------
    TunewrightError
        An input column is missing, or the rows have a column of an answer's name already.
    """
    predictor = load(folder)
    inputs, kinds = predictor.manifest.inputs, predictor.kinds_at(error)
    data = plain_data(task_of(predictor.manifest)).model_copy(update=dict(options or {}))
    schema: dict[str, Any] = {}
    for chunk in stream(source, data, columns=list(inputs), name=name):
        cells = {column: values_of(chunk[column], modality) for column, modality in inputs.items()}
        found = predictor.answers(cells, top, error=error)
        answers = columns_of(kinds, found, reviewed=predictor.rules is not None)
        yield chunk.with_columns(_added(chunk, {prefix + one: values for one, values in answers.items()}, schema))


def values_of(column: pl.Series, modality: str) -> list[Any]:
    """Cells as the training side reads them: texts are strings, and empty where there is none."""
    return as_texts(column).fill_null("").to_list() if plugins.reads(modality) == "text" else column.to_list()


def _added(chunk: pl.DataFrame, found: Mapping[str, list[Any]], schema: dict[str, Any]) -> list[pl.Series]:
    """The new columns; each keeps the type that it had in an earlier chunk (``schema``), whatever this one holds."""
    for taken in set(found) & set(chunk.columns):
        raise TunewrightError(f"the rows have a column {taken!r} already", "pass --prefix, such as --prefix model_")
    columns = [pl.Series(name, values, schema.get(name), strict=False) for name, values in found.items()]
    schema.update({one.name: one.dtype for one in columns if one.dtype != pl.Null})
    return columns


def show(folder: str | Path) -> dict[str, Any]:
    """What a bundle is and how good it is; every file is compared with its digest first."""
    manifest = read_manifest(Path(folder))
    verify(Path(folder), manifest)
    return {
        "name": manifest.name,
        "targets": [{key: target[key] for key in ("name", "kind", "labels")} for target in manifest.targets],
        "inputs": manifest.inputs,
        "method": manifest.method["name"],
        "method_facts": {key: value for key, value in manifest.method.items() if key != "name"},
        "backbone": manifest.backbone["name"],
        "backbone_facts": {key: value for key, value in manifest.backbone.items() if key not in ("name", "config")}
        | manifest.run.get("backbone_source", {}),
        "size_bytes": manifest.size_bytes,
        "parts": {name: _sizes(manifest, part) for name, part in manifest.parts.items()},
        "digest": manifest.digest,
        "metrics": manifest.metrics,
        "fit": {key: manifest.run.get(key) for key in ("seconds", "peak_rss_bytes", "seed", "interrupted", "rungs")},
        "data": manifest.data,
        "compressed": manifest.run.get("compressed"),
        "cross_validation": manifest.run.get("cross_validation"),
    }


def _sizes(manifest: Manifest, part: Part) -> dict[str, int]:
    """Of a part: its graph with the tensors that it reads, and the updates beside them, which no other bundle has."""
    sizes = {path: int(manifest.files[path]["size_bytes"]) for path in part.files}
    updates = sizes.pop(part.updates, 0)
    return {"size_bytes": sum(sizes.values()), "updates_bytes": updates}


def export(folder: str | Path, to: str, out: str | Path) -> Path:
    """Lay a bundle out for other programs: ``hf`` (a Hugging Face folder) or ``onnx`` (the graphs and a note)."""
    with training("`export`"):
        from tunewright.train import hand_over

    ways = {"hf": hand_over.to_hf, "onnx": hand_over.to_onnx}
    if to not in ways:
        raise TunewrightError(f"--to {to!r} is not known", nearest(to, ways))
    return ways[to](Path(folder), Path(out))
