"""The bundle, put together: modality, graphs, calibration, reference, manifest; and the proof that it is the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunewright.backbones._catalogue import Found
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.core.bundle import Manifest, Part, write_manifest
from tunewright.core.types import Array, Windows
from tunewright.heads._pooled import Embed
from tunewright.heads._several import apart
from tunewright.kinds._several import Several, Single
from tunewright.runtime.predictor import Predictor
from tunewright.train.context import Context
from tunewright.train.export import compare, export, rows_to_compare
from tunewright.train.fitted import Fitted
from tunewright.train.halves import halves
from tunewright.train.outputs import frozen
from tunewright.train.reference import reference, reference_of_each
from tunewright.train.scopes import scoped
from tunewright.train.unsure import calibrated

EXTREMES = 8
"""Shortest and longest windows that are put into one batch, to compare under the most padding."""


def assemble(
    folder: Path,
    context: Context,
    fitted: Fitted,
    *,
    name: str,
    task: Mapping[str, Any],
    data: Mapping[str, Any],
    run: Mapping[str, Any],
) -> tuple[Manifest, dict[str, Array]]:
    """Write a bundle into ``folder``, without metrics and report yet; returns its manifest and its held-out logits.

    Several targets fall apart here: each has a graph of its own, its own calibration, and its own logits.

    Raises
    ------
    TunewrightError
        The exported graphs do not say what the trained model says.
    """
    backbone, found = fitted.backbone or context.backbone, fitted.found or context.found
    held_out = context.held_out if fitted.backbone is None else context.examples("held_out", backbone.modality)
    modality_folder = folder / "modality" / backbone.modality_name
    singles = calibrated(context, fitted)
    manifest = Manifest(
        name=name,
        inputs=dict.fromkeys(context.task.inputs, backbone.modality_name),
        modalities={backbone.modality_name: backbone.modality.save(modality_folder)},
        targets=_targets(singles),
        parts=_graphs(folder, context, fitted, backbone, held_out.windows),
        backbone=_told(backbone, found),
        method={"name": fitted.method, **fitted.facts},
        task=dict(task),
        data=dict(data),
        metrics={},
        run=dict(run),
    )
    manifest = write_manifest(folder, manifest)
    predictor = Predictor.load(folder, context.task.fit.threads)
    context.run.log("compare", say="comparing the exported graphs with the trained model")
    exported = predictor.run(held_out.windows, [*(f"head.{one.name}" for one in singles), "embed"])
    export_facts = same_numbers(context, fitted, predictor, held_out.windows, exported)
    logits = {one.name: one.kind.gather(exported[f"head.{one.name}"], held_out.windows) for one in singles}
    seen = held_out.windows.cost, np.stack(exported["embed"])
    if len(singles) == 1:
        told = reference(seen[0], logits[singles[0].name], seen[1], singles[0].kind)
    else:
        told = reference_of_each(*seen, {one.name: (logits[one.name], one.kind) for one in singles})
    (folder / "reference.json").write_text(json.dumps(told) + "\n", encoding="utf-8")
    targets = _targets(scoped(folder, context, fitted, singles, predictor))
    manifest = replace(manifest, targets=targets, run={**manifest.run, "export": export_facts})
    return write_manifest(folder, manifest), logits


def _targets(singles: Sequence[Single]) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "kind": one.plugin, "labels": list(one.kind.labels), "spec": one.kind.spec()}
        for one in singles
    ]


def _graphs(
    folder: Path, context: Context, fitted: Fitted, backbone: LoadedBackbone, example: Windows
) -> dict[str, Part]:
    context.run.log("export", say="exporting the graphs")
    kind = context.kind
    own = apart(fitted.head, kind) if isinstance(kind, Several) else {context.target.name: fitted.head}
    heads = {f"head.{name}": head for name, head in own.items()} | {"embed": Embed(backbone.pooling)}
    cut = halves(context, fitted)
    names = backbone.modality_name, backbone.modality
    return export(folder, *names, example, cut.lower, heads, cut.upper, cut.updates)


def _told(backbone: LoadedBackbone, found: Found) -> dict[str, Any]:
    return {
        "name": found.name if found.source != "folder" else Path(found.name).name,
        "family": backbone.family,
        "digest": found.digest,
        "licence": found.licence,
        "pooling": backbone.pooling,
        "width": backbone.width,
        "config": backbone.config,
        "notes": list(backbone.notes),
    }


def same_numbers(
    context: Context, fitted: Fitted, predictor: Predictor, windows: Windows, exported: Mapping[str, Sequence[Array]]
) -> dict[str, Any]:
    """Compare on held-out windows, each batch padded as it is in serving, then once more under the most padding.

    exported : part → what it gave for each of the windows

    Returns
    -------
    What ``compare`` tells; of several targets, by their names.
    """
    index = rows_to_compare(windows, context.task.seed)
    picked = subset(windows, index)
    modality = (fitted.backbone or context.backbone).modality
    trained = frozen(fitted.encoder, fitted.head, modality, picked, context.device)
    order = np.argsort(picked.cost, kind="stable")
    extremes = np.unique(np.concatenate([order[:EXTREMES], order[-EXTREMES:]]))
    kinds = {one.name: one.kind for one in context.singles}
    padded = predictor.run(picked, [f"head.{name}" for name in kinds], batches=[extremes])
    of_each = [context.by_target(one) for one in trained]
    facts = {}
    for name, kind in kinds.items():
        own, head = [one[name] for one in of_each], f"head.{name}"
        facts[name] = compare(_rows(own), _rows([exported[head][at] for at in index]), kind)
        compare(_rows([own[at] for at in extremes]), _rows([padded[head][at] for at in extremes]), kind)
    return facts if len(facts) > 1 else facts[context.target.name]


def subset(windows: Windows, index: NDArray[np.int64]) -> Windows:
    """The windows at ``index``, each as a row of its own."""
    data = {name: values.take(index, axis=0) for name, values in windows.data.items()}
    spans = windows.spans.take(index) if windows.spans is not None else None
    return Windows(len(index), np.arange(len(index)), windows.cost[index], data, spans)


def _rows(pieces: Sequence[Array]) -> Array:
    if len({piece.shape for piece in pieces}) == 1:
        return np.stack(pieces)
    out = np.empty(len(pieces), object)
    out[:] = pieces
    return out
