"""Two bundles on the same labelled rows: what changed, which rows flipped, and whether the difference is real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tunewright import audit, report
from tunewright.core.errors import TunewrightError
from tunewright.core.folder import must_be_new, new_folder
from tunewright.core.types import Finding
from tunewright.data.rows import Rows, empty_labels
from tunewright.pipeline.judge import labelled
from tunewright.pipeline.tasks import Source, task_of
from tunewright.runtime.predictor import Predictor, load

Sides = Mapping[str, Predictor]
"""``A`` (the old one) and ``B`` (the new one) → what answers."""


@dataclass(frozen=True)
class Comparison:
    """What two bundles answered to the same rows.

    findings : of the audit ``compare``; differences are the new bundle's value minus the old one's
    sentence : which one is better, or that the rows cannot tell, in English; ``sentence_zh`` in Chinese
    compared : ``A`` (old) and ``B`` (new) → name, method, backbone and digest of the bundle
    data : how many rows, and their digest
    """

    findings: list[Finding]
    sentence: str
    sentence_zh: str
    compared: dict[str, dict[str, Any]]
    data: dict[str, Any]
    seed: int

    @property
    def record(self) -> dict[str, Any]:
        """JSON values, without any row."""
        return {
            "findings": [finding.record() for finding in self.findings],
            "sentence": {"en": self.sentence, "zh": self.sentence_zh},
            "compared": self.compared,
            "data": self.data["digest"],
            "rows": self.data["test_rows"],
            "seed": self.seed,
        }


def compare(
    old: str | Path,
    new: str | Path,
    rows: Source,
    *,
    label: str | None = None,
    out: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Comparison:
    """Both bundles answer the same labelled rows; paired tests say whether the difference is real.

    label : the rows' label column, where the bundles have one target; default: the one that ``new`` was fitted on
    out : a new folder for ``report.html``, ``report.json`` and ``rows.jsonl``, the rows that changed
    options : how to read the rows, as in ``[data]`` of a task; default: as ``new`` was fitted

    Raises
    ------
    TunewrightError
        The bundles differ in targets, kinds or labels; ``out`` exists; or the rows cannot be judged, as for
        ``evaluate``.
    """
    if out is not None:
        must_be_new(Path(out))
    sides = {"A": load(old), "B": load(new)}
    places = {"A": str(old), "B": str(new)}
    targets = _targets(sides, places)
    inputs = task_of(sides["A"].manifest).inputs
    task, read = labelled(sides["B"], rows, label=label, options=options, inputs=inputs)
    findings = _findings(sides, targets, read, task.seed)
    english, chinese = report.sentence(findings)
    told = {name: _about(one, places[name]) for name, one in sides.items()}
    found = Comparison(findings, english, chinese, told, {"test_rows": len(read), "digest": read.digest}, task.seed)
    if out is not None:
        _write(Path(out), found, sides["B"])
    return found


def _targets(sides: Sides, places: Mapping[str, str]) -> dict[str, str]:
    """Target of the new bundle → that of the old one; of one target each, these two.

    Raises
    ------
    TunewrightError
        They cannot be compared, by what differs.
    """
    a, b = (list(one.kinds) for one in sides.values())
    if len(a) == len(b) == 1:
        targets = dict(zip(b, a, strict=True))
    elif set(a) == set(b):
        targets = {name: name for name in b}
    else:
        raise TunewrightError(f"the targets differ: {_apart(a, b, places)}", "compare bundles with the same targets")
    for new, old in targets.items():
        _alike(old, new, sides, places)
    return targets


def _alike(old: str, new: str, sides: Sides, places: Mapping[str, str]) -> None:
    kinds = [
        next(one["kind"] for one in side.manifest.targets if one["name"] == name)
        for side, name in zip(sides.values(), (old, new), strict=True)
    ]
    if kinds[0] != kinds[1]:
        told = ", ".join(f"{kind} in {place}" for kind, place in zip(kinds, places.values(), strict=True))
        raise TunewrightError(f"target {new}: the kinds differ: {told}", "compare bundles of one kind")
    a, b = sides["A"].kinds[old].labels, sides["B"].kinds[new].labels
    if set(a) != set(b):
        raise TunewrightError(
            f"target {new}: the labels differ: {_apart(a, b, places)}",
            "fit one of them anew with the labels of the other, or `tunewright evaluate` each on rows of its own",
        )


def _apart(a: Any, b: Any, places: Mapping[str, str], shown: int = 8) -> str:
    """What only one of both has."""
    told = []
    for own, other, place in ((a, b, places["A"]), (b, a, places["B"])):
        only = [name for name in own if name not in other]
        more = f" and {len(only) - shown} more" if len(only) > shown else ""
        told += [f"only {place} has {', '.join(only[:shown])}{more}"] if only else []
    return "; ".join(told)


def _findings(sides: Sides, targets: Mapping[str, str], rows: Rows, seed: int) -> list[Finding]:
    """Of each target, on the rows that have a truth for it; where there are several, findings bear its name."""
    logits = {name: one.logits(rows.inputs) for name, one in sides.items()}
    found: list[Finding] = []
    for new, old in targets.items():
        known = np.flatnonzero(~empty_labels(rows, new))
        judged = rows.take(known)
        before, now = (
            audit.Context(
                kind=(kind := sides[side].kinds[name]),
                logits=logits[side][name][known],
                truth=kind.encode(judged.targets[new]),
                inputs=judged.inputs,
                place=judged.dataset.place,
                seed=seed,
            )
            for side, name in (("A", old), ("B", new))
        )
        target = new if len(targets) > 1 else ""
        measured = audit.audit(replace(now, before=before), only=["compare"])
        found += [replace(one, target=target) for one in measured]
    return found


def _about(predictor: Predictor, place: str) -> dict[str, Any]:
    manifest = predictor.manifest
    facts = {"name": Path(place).name, "method": manifest.method["name"], "backbone": manifest.backbone["name"]}
    return facts | {"digest": manifest.digest}


def _write(out: Path, found: Comparison, new: Predictor) -> None:
    manifest = new.manifest
    about = {
        "name": " → ".join(one["name"] for one in found.compared.values()),
        "inputs": manifest.inputs,
        "targets": manifest.targets,
        "data": found.data,
        "task": {"seed": found.seed},
    }
    record = report.record(about, found.findings) | {"compared": found.compared, "settings": []}
    with new_folder(out) as folder:
        report.write_report(folder, record, found.findings)
        report.write_lines(folder / "rows.jsonl", found.findings)
