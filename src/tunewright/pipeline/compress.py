"""A smaller or faster bundle from a bundle: settings are tried in order, the first one that passes is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright import audit, report
from tunewright.core import plugins
from tunewright.core.bundle import Manifest, write_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.folder import must_be_new, new_folder
from tunewright.core.run import Listener
from tunewright.core.switch import set_aside
from tunewright.data.rows import Rows
from tunewright.pipeline.asked import asked_of, rows_asked
from tunewright.pipeline.attempts import Attempt, Scale, table
from tunewright.pipeline.chains import carried_out, first_that_reaches, planned
from tunewright.pipeline.extras import training
from tunewright.pipeline.lessons import divided, given, lessons
from tunewright.pipeline.models import Bundle
from tunewright.pipeline.noted import noted
from tunewright.pipeline.parts import language_of
from tunewright.pipeline.release import metrics_of
from tunewright.pipeline.steps import NotCompressed, Work, name_of, steps_of, target_of
from tunewright.pipeline.tasks import Source
from tunewright.runtime.predictor import Predictor, load

if TYPE_CHECKING:
    from tunewright.compress._copy import Copy


@dataclass(frozen=True)
class Compressed:
    """What was tried, and where the bundle lies.

    tried : one record per attempt, by the names in ``COLUMNS``; the first is the bundle as it was
    """

    tried: list[dict[str, Any]]
    folder: Path
    digest: str
    exhibit: Any = None
    notes: tuple[str, ...] = ()

    @property
    def record(self) -> dict[str, Any]:
        """JSON values, without any row."""
        return {"folder": str(self.folder), "digest": self.digest, "tried": self.tried, "notes": list(self.notes)}


def compress(
    bundle: str | Path,
    rows: Source = None,
    *,
    to: str | Sequence[str] | None = None,
    out: str | Path,
    targets: Sequence[str] = (),
    train: Source = None,
    unlabelled: Source = None,
    student: str = "",
    label: str | None = None,
    task: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    listener: Listener | None = None,
) -> Compressed:
    """Carry out steps one after the other; of each, keep the first setting whose answers pass.

    Every setting is judged against the bundle as it was, on the same rows: the limits in ``[compress]``, and where the
    rows have labels, the gates of the bundle's own task.

    Parameters
    ----------
    rows : held-out rows; without labels, only flips and the shift of scores are judged. Default: the test rows of the
        fit that made the bundle, if the run beside it is still there, and its training rows for ``train``
    to : names of steps (files in compress/), in their order, ``NAME=SETTING`` for one setting alone; default: ``int8``,
        or with targets whatever reaches them, steps that change least first
    targets : such as ``size_mb<=30``; the last step passes only with a setting that reaches them
    train : rows that steps learn from (``prune``, ``distill``) and whose tokens stay (``vocabulary``; default there:
        one half of the rows, so that the other half judges); rows that judge are left out of them
    unlabelled : rows without labels, for the same
    student : of ``distill``: ``static``, ``layers=3``, the name of a backbone, a folder; default: those of the step
    task, settings : as for ``audit``; the section ``compress`` of the file counts too

    Raises
    ------
    NotCompressed
        No setting of a step passes, or none reaches a target: nothing is left at ``out``, the last bundle that was
        refused lies at ``OUT.refused``. It carries the table.
    TunewrightError
        The bundle is compressed already, a step is not known or cannot change this bundle, the rows cannot be judged or
        are not known,
        a step learns and there are no rows that it may learn from.
    """
    out, bundle = Path(out), Path(bundle)
    must_be_new(out)
    wanted = [target_of(one) for one in targets]
    steps = steps_of(to if to is not None else "int8")
    named = [name_of(one) for one in steps]
    if student and to is not None and "distill" not in named:
        raise TunewrightError(f"--student {student} is for distill, which --to does not name", "add it: --to distill")
    with training("`compress`"):
        from tunewright.compress._copy import Copy
        from tunewright.compress._network import lessons_of
    loaded = load(bundle)
    asking = Bundle(loaded)
    asked = asked_of(asking, Path(task) if task is not None else None, settings or {}, label=label)
    audit.check_gates(asked.task.gates, asking.kinds, asked.task.audit.groups)
    work = Work(asked, listener or (lambda record: None), wanted)
    if rows is None:
        known = noted(bundle)
        rows, train = known.test, known.train if train is None else train
        work.say(f"judged on {rows}, the test rows of the fit")
    read, issues = rows_asked(asked, rows, label)
    beside = given(asked, read, train, unlabelled, work.say)
    chains = planned(wanted, texts=beside.any, learns=beside.any) if to is None and wanted else None
    read, texts = divided(asked, read, beside, [] if chains else named, work.say)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        start = Copy.of(bundle, Path(folder) / "0", texts, lessons(bundle, asked, beside, student, work.listener))
        for step in named if not chains else ():
            if getattr(plugins.load("compress", step), "LEARNS", False):
                lessons_of(start, step)
        scale = _scale(work, loaded, read, start)
        try:
            done, last = (
                first_that_reaches(work, chains, start, scale) if chains else carried_out(work, steps, start, scale)
            )
        except NotCompressed:
            _refused(work, out, read, issues)
            raise
        manifest = _finished(done, last, work, read, issues)
        with new_folder(out) as staged:
            staged.rmdir()
            done.folder.rename(staged)
            report.write_rows(out, last.findings)
    return Compressed([one.figures for one in work.tried], out, manifest.digest, table(work.tried), tuple(work.said))


def _scale(work: Work, loaded: Predictor, rows: Rows, start: Copy) -> Scale:
    """What attempts are measured by; the bundle as it was is the first of them."""
    before, task = loaded.logits(rows.inputs), work.asked.task
    scale = Scale(task, rows, before, work.gates(loaded, rows, before), start.manifest.digest)
    work.tried.append(work.told(scale.attempt(start.folder, "–", "as it was", task.fit.threads), "as it was"))
    return scale


def _refused_place(out: Path) -> Path:
    return out.with_name(out.name + ".refused")


def _refused(work: Work, out: Path, rows: Rows, issues: Sequence[Any]) -> None:
    """Lay the last bundle that did not pass aside, with its report and its flipped rows."""
    if work.refused is not None:
        copy, last = work.refused
        _finished(copy, last, work, rows, issues)
        set_aside(copy.folder, _refused_place(out))
        report.write_rows(_refused_place(out), last.findings)


def _finished(done: Copy, last: Attempt, work: Work, rows: Rows, issues: Sequence[Any]) -> Manifest:
    """Write the report and the last manifest: metrics are those of the compressed bundle, the data the judging rows."""
    manifest, judged = done.manifest, bool(rows.targets)
    shown, own = last.findings, [one for one in last.findings if one.audit not in ("compare", "compress")]
    at = next(at for at, one in enumerate(shown) if one.audit == "compress")
    shown[at] = replace(shown[at], exhibits=(*shown[at].exhibits, table(work.tried)))
    told = {"tried": [one.figures for one in work.tried], "notes": work.said, "rows": len(rows), "digest": rows.digest}
    manifest = replace(manifest, metrics=metrics_of(own) if judged else {}, run=manifest.run | {"compressed": told})
    about = vars(manifest) | {"data": manifest.data | {"test_rows": len(rows)}}
    language = "zh" if language_of(work.asked.task, rows) == "zh" else "en"
    report.write(done.folder, report.record(about, shown, issues, language=language), shown)
    return write_manifest(done.folder, manifest)
