"""From rows to a released bundle, or to a refusal."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright import audit, report
from tunewright.core import plugins
from tunewright.core.bundle import Manifest, write_manifest
from tunewright.core.journal import read_journal
from tunewright.core.memory import peak_rss_bytes
from tunewright.core.run import Listener, Run, start
from tunewright.core.switch import set_aside
from tunewright.core.task import Sources, Task
from tunewright.core.task import settings as settings_of
from tunewright.core.types import Finding, Kind
from tunewright.data.rows import Rows
from tunewright.data.units import STRATIFIED
from tunewright.pipeline.extras import training
from tunewright.pipeline.folds import CROSS, Crossed, check_folds, crossed, groups_of, pool_of
from tunewright.pipeline.judge import judge, strange_rows
from tunewright.pipeline.parts import Parts, language_of, long_rows, read_parts
from tunewright.pipeline.tasks import Source, describe, portable
from tunewright.pipeline.watch import watching
from tunewright.pipeline.workers import working
from tunewright.runtime.predictor import Predictor, load

if TYPE_CHECKING:
    from tunewright.train.context import Context

LIBRARIES = ("tunewright", "torch", "onnxruntime", "tokenizers", "numpy", "scikit-learn")
"""Those that the figures of a run depend on."""


def fit(
    train: Source = None,
    *,
    out: str | Path,
    test: Source = None,
    text: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
    target: str | Sequence[str] | None = None,
    kind: str | None = None,
    task: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
    cluster: str | None = None,
    listener: Listener | None = None,
) -> Predictor:
    """Learn from rows, judge what was learnt, and release it as a bundle at ``out``.

    Parameters
    ----------
    train, test : a path, a pandas or polars frame, or a mapping of lists; without ``test`` a part is split off
    text, label : input column(s) and label column (several, for multilabel with one column per label)
    target : instead of ``label``, one or several things to predict: ``COLUMN`` or ``COLUMN:KIND`` each
    task : TOML file with any setting; ``settings`` (dotted names) win over it
    force : replace a bundle at ``out``
    cluster : ``ray://HOST:PORT``, where ``fit.workers`` processes train; without it they are started on this machine
    listener : called with a record of each event and each progress

    Raises
    ------
    TunewrightError
        The rows, the task or the place do not allow it; exit code 2.
    GateMissed
        A gate of the task does not hold: nothing is left at ``out``, the refused bundle lies at ``OUT.refused``.

    Examples
    --------
    >>> bundle = fit("train.csv", text="text", label="category", out="intents/")      # doctest: +SKIP
    >>> bundle.predict(["my card was stolen"])                                        # doctest: +SKIP
    [Label(label='lost_or_stolen_card', score=0.97, reason=None, candidates=None)]
    """
    resolved, sources = describe(
        train, text=text, label=label, target=target, test=test, kind=kind, task=task, settings=settings
    )
    out = Path(out)
    audit.check_gates(resolved.gates, kinds_of(resolved), resolved.audit.groups)
    check_folds(resolved)
    strange_rows(resolved)  # read now, since a file that is missing would be missed only after the training
    begun = start(out, resolved.fit.minutes, force=force, listener=listener, continues=True)
    with begun as run, watching(run, resolved):
        run.log("settings", settings={name: [value, sources[name]] for name, value in settings_of(resolved).items()})
        parts = read_parts(resolved, train, test)
        run.log("check", issues=[issue.record() for issue in parts.issues])
        say_split(resolved, run)
        with working(run, resolved, cluster):
            manifest, logits, folds = learnt(resolved, sources, parts, run)
        judge_and_release(manifest, logits, resolved, parts, run, folds)
    return load(out)


def kinds_of(task: Task) -> dict[str, type[Kind]]:
    """Target → its kind, before it has learnt anything."""
    return {target.name: plugins.load("kinds", target.kind) for target in task.targets}


def say_split(task: Task, run: Run) -> None:
    """Which of several targets the parts are stratified by."""
    labelled = [target.name for target in task.targets if target.kind in STRATIFIED]
    if len(task.targets) > 1 and task.split.by == "label" and labelled:
        run.log("split", say=f"parts that are cut off are stratified by {labelled[0]}, the first target with labels")


def key_of(task: Task, parts: Parts) -> str:
    """Digest of what a fit depends on, so that a killed one is only continued as itself.

    The numbers of threads and workers are left out: on other ones the weights differ a little, and that is said.
    """
    rows = [one.dataset.digest for one in (parts.train, parts.validation, parts.test)]
    libraries = [version(name) for name in LIBRARIES]
    return hashlib.sha256(json.dumps([portable(task), rows, libraries], sort_keys=True).encode()).hexdigest()


def learnt(task: Task, sources: Sources, parts: Parts, run: Run) -> tuple[Manifest, Any, Crossed | None]:
    """Everything that needs torch: from parts to a bundle that is not judged yet, and what the folds answered."""
    with training("`fit`"):
        from tunewright.train.assemble import assemble
        from tunewright.train.learn import learn

    run.continues(key_of(task, parts))
    folds = crossed(task, parts, run)
    context = context_of(task, parts, run, lambda backbone, found: _heard(task, parts, run, backbone, found))
    context.pool = pool_of(task, parts)
    fitted, rungs = learn(context)
    found = fitted.found or context.found
    manifest, logits = assemble(
        run.folder / "staged",
        context,
        fitted,
        name=task.name or run.out.name,
        task=portable(task),
        data=_counts(parts),
        run={
            "sources": sources,
            "rungs": [vars(rung) for rung in rungs],
            "seed": task.seed,
            "interrupted": run.interrupted,
            "backbone_source": {"source": found.source, "pinned": found.pinned},
        },
    )
    # A model that was fitted again has learnt from the validation rows too: there it is judged as it was before that.
    return manifest, logits if parts.judged_on == "test" else context.by_target(fitted.validation_logits), folds


def context_of(
    task: Task, parts: Parts, run: Run, heard: Callable[[Any, Any], None], held_out: Rows | None = None
) -> Context:
    """What a method may use.

    heard : called with the backbone, and where it was found, as soon as it is chosen
    held_out : rows on which the exported graphs are compared; default: those that the bundle will be judged on
    """
    with training("`fit`"):
        from tunewright.train.examples import Part
        from tunewright.train.learn import prepare, together

    held_out = parts.test if held_out is None else held_out
    three = {"train": parts.train, "validation": parts.validation, "held_out": held_out}
    encoded = {name: Part(rows.inputs, _truth(rows), groups_of(rows, task)) for name, rows in three.items()}
    return prepare(task, together(task.targets), encoded, language_of(task, parts.train), run, heard)


def _truth(rows: Rows) -> list[Any]:
    """The values of the target; of several, tuples with one of each."""
    values = list(rows.targets.values())
    return values[0] if len(values) == 1 else list(zip(*values, strict=True))


def _heard(task: Task, parts: Parts, run: Run, backbone: Any, found: Any) -> None:
    """Tell of the backbone, and of rows that are longer than its window."""
    pinned = "its digest is the known one" if found.pinned else "its digest is not pinned"
    said = f"backbone {found.name} ({backbone.family}, from the {found.source}; {pinned})"
    run.log("backbone", name=found.name, source=found.source, say="; ".join((said, *backbone.notes)))
    looked_at = [parts.train, parts.validation, *([parts.test] if parts.judged_on == "test" else [])]
    long = long_rows(looked_at, task, backbone.modality)
    run.log("check", issues=[issue.record() for issue in long])
    parts.issues.extend(long)


def judge_and_release(
    manifest: Manifest, logits: Any, task: Task, parts: Parts, run: Run, folds: Crossed | None = None
) -> None:
    """Audit the staged bundle, write its report, and let it out, or set it aside where it misses a gate."""
    staged = run.folder / "staged"
    run.log("audit", say=f"judging on {len(parts.test):,} {parts.judged_on} rows")
    predictor = Predictor.load(staged, task.fit.threads)
    findings = judge(predictor, task, parts.test, logits=logits, leaked=parts.leaked, train=parts.train, folds=folds)
    if folds is not None:
        run.log("folds", say=folds.said(findings, predictor.kind.headline))
        manifest = _with_folds(manifest, folds, findings)
    told = {"seconds": round(run.elapsed, 3), "peak_rss_bytes": peak_rss_bytes(), **_circumstances()}
    manifest = replace(manifest, metrics=metrics_of(findings), run=manifest.run | told)
    training = report.curves(read_journal(run.journal.path), run.work.name)
    language = "zh" if language_of(task, parts.train) == "zh" else "en"
    record = report.record(vars(manifest), findings, parts.issues, training=training, language=language)
    report.write(staged, record, findings)
    write_manifest(staged, manifest)
    refused = audit.missed(findings)
    place = run.out.with_name(run.out.name + ".refused") if refused else run.out
    rows = run.folder / place.name
    report.write_rows(rows, findings)  # whole before anything at the place is changed
    if folds is not None:
        folds.write(report.folds_file(rows))
    for finding in findings:
        if finding.metric in predictor.kind_of(finding.target).headline and not finding.slice:
            run.log("result", **finding.record())
    if refused:
        set_aside(staged, place)
    else:
        run.publish(staged)
    _put_beside(rows, place)
    run.finished(released=not refused)
    if refused:
        raise audit.refusal(refused, report=str(place / "report.html"))
    run.log(
        "released", say=f"released: {place} ({manifest.size_bytes / 1e6:.1f} MB), report in {place / 'report.html'}"
    )


def _with_folds(manifest: Manifest, folds: Crossed, findings: Sequence[Finding]) -> Manifest:
    """The manifest with what cross-validation gave, and with what the figures come from where that is it."""
    data = manifest.data | ({"judged_on": CROSS} if folds.instead else {})
    return replace(manifest, data=data, run=manifest.run | {"cross_validation": folds.told(findings)})


def _put_beside(rows: Path, place: Path) -> None:
    """Move the files of rows beside their bundle; those of an earlier one go."""
    pairs = zip(report.rows_files(rows), report.rows_files(place), strict=True)
    for new, old in (*pairs, (report.folds_file(rows), report.folds_file(place))):
        if new.is_file():
            os.replace(new, old)
        else:
            old.unlink(missing_ok=True)


def _counts(parts: Parts) -> dict[str, Any]:
    return {
        "train_rows": len(parts.train),
        "validation_rows": len(parts.validation),
        "test_rows": len(parts.test) if parts.judged_on == "test" else 0,
        "judged_on": parts.judged_on,
        "digest": parts.digest,
    }


def metrics_of(findings: Sequence[Finding]) -> dict[str, Any]:
    """The findings on all rows that are metrics of the kind, by name."""
    return {
        one.name: {"value": one.value, "low": one.low, "high": one.high, "n": one.n}
        for one in findings
        if not one.slice and one.value is not None
    }


def _circumstances() -> dict[str, Any]:
    """What else a reader wants to know of a run: date, versions, machine."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        "machine": f"{platform.system()} {platform.machine()}",
    }
