"""A smaller or faster bundle from a bundle: settings are tried in order, the first one that passes is kept."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunewright import audit, report
from tunewright.core.bundle import Manifest, write_manifest
from tunewright.core.folder import must_be_new, new_folder
from tunewright.core.run import Listener
from tunewright.data.rows import Rows
from tunewright.pipeline.asked import asked_of, rows_asked, training_rows
from tunewright.pipeline.attempts import Attempt, Scale, table
from tunewright.pipeline.extras import training
from tunewright.pipeline.models import Bundle
from tunewright.pipeline.parts import language_of
from tunewright.pipeline.release import metrics_of
from tunewright.pipeline.steps import Work, steps_of, target_of
from tunewright.pipeline.tasks import Source
from tunewright.runtime.predictor import load

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
    rows: Source,
    *,
    to: str | Sequence[str] = "int8",
    out: str | Path,
    targets: Sequence[str] = (),
    train: Source = None,
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
    rows : held-out rows; without labels, only flips and the shift of scores are judged
    to : names of steps (files in compress/), in their order
    targets : such as ``size_mb<=30``; the last step passes only with a setting that reaches them
    train : rows whose tokens stay (step ``vocabulary``); default: one half of the rows, so that the other half judges
    task, settings : as for ``audit``; the section ``compress`` of the file counts too

    Raises
    ------
    NotCompressed
        No setting of a step passes, or none reaches a target; nothing is written. It carries the table.
    TunewrightError
        The bundle is compressed already, a step is not known or cannot change this bundle, the rows cannot be judged.
    """
    out, bundle = Path(out), Path(bundle)
    must_be_new(out)
    steps, wanted = steps_of(to), [target_of(one) for one in targets]
    with training("`compress`"):
        from tunewright.compress._copy import Copy
    loaded = load(bundle)
    asking = Bundle(loaded)
    asked = asked_of(asking, Path(task) if task is not None else None, settings or {}, label=label)
    audit.check_gates(asked.task.gates, asking.kinds, asked.task.audit.groups)
    read, issues = rows_asked(asked, rows, label)
    trained = training_rows(asked, train) if train is not None else None
    work = Work(asked, listener or (lambda record: None), wanted)
    read, texts = work.divided(read, trained, steps)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        start = Copy.of(bundle, Path(folder) / "0", texts)
        before = loaded.logits(read.inputs)
        scale = Scale(asked.task, read, before, work.gates(loaded, read, before))
        work.tried.append(work.told(scale.attempt(bundle, "–", "as it was", asked.task.fit.threads), "as it was"))
        origin, done, last = start.manifest.digest, start, work.tried[0]
        for step in steps:
            done, last = work.step(step, done, scale, origin, at_end=step == steps[-1])
        manifest = _finished(done, last, work, read, issues)
        with new_folder(out) as staged:
            staged.rmdir()
            done.folder.rename(staged)
            report.write_rows(out, last.findings)
    return Compressed([one.figures for one in work.tried], out, manifest.digest, table(work.tried), tuple(work.said))


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
