"""A bundle, a service or a function, judged by all audits on rows of the user: findings, gates, a report."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tunewright import audit as audits
from tunewright import report
from tunewright.core.errors import GateMissed
from tunewright.core.folder import must_be_new, new_folder
from tunewright.core.run import Listener
from tunewright.core.task import Task
from tunewright.core.types import Finding
from tunewright.data.check import leaked_rows
from tunewright.data.issues import Issue
from tunewright.data.rows import Rows
from tunewright.pipeline.asked import JUDGING, Asked, asked_of, columns_told, gates_looked_at, rows_asked, training_rows
from tunewright.pipeline.judge import context_of
from tunewright.pipeline.models import Model, model_of
from tunewright.pipeline.parts import language_of
from tunewright.pipeline.tasks import Source


@dataclass(frozen=True)
class Audited:
    """What the audits found.

    bundle : digest of the bundle that answered; empty where there is none, or it is not told
    data : how many rows, and their digest
    report : where it lies; empty if none was asked for
    """

    findings: list[Finding]
    bundle: str
    data: dict[str, Any]
    seed: int
    issues: list[Issue] = field(default_factory=list)
    report: str = ""

    @property
    def missed(self) -> list[Finding]:
        """The findings whose gate does not hold."""
        return audits.missed(self.findings)

    @property
    def refusal(self) -> GateMissed | None:
        """The error that names every missed gate, and what to try next; None where all hold."""
        return audits.refusal(self.missed, report=self.report) if self.missed else None

    @property
    def alarms(self) -> list[audits.Raised]:
        """The findings that look wrong although no gate asks for it; they refuse nothing."""
        return audits.alarms(self.findings)

    @property
    def record(self) -> dict[str, Any]:
        """JSON values, without any row."""
        told = [finding.record() for finding in self.findings]
        alarmed = [one.record() for one in self.alarms]
        return {
            "findings": told,
            "alarms": alarmed,
            "bundle": self.bundle,
            "data": self.data["digest"],
            "seed": self.seed,
        }


def audit(
    model: Any,
    rows: Source,
    *,
    only: Sequence[str] | None = None,
    groups: Sequence[str] = (),
    label: str | None = None,
    text: str | Sequence[str] = (),
    labels: Sequence[str] | None = None,
    train: Source = None,
    out: str | Path | None = None,
    task: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    minutes: float = 5.0,
    timeout: float = 30.0,
    listener: Listener | None = None,
) -> Audited:
    """Run the audits, hold the findings against the gates, and write a report. A missed gate raises nothing here.

    Parameters
    ----------
    model : a bundle's folder, a loaded bundle, the address of a service (``http://HOST:PORT/v1/NAME``), or a function
        that takes a list of texts (columns, where there are several inputs) and returns probabilities (n, k) or labels
    rows : a path, a frame, or column → list; without the label column, audits that need none run all the same
    only : names of audits; default: all
    groups : columns whose groups are to be treated alike
    label, text : label column and input columns, where they are named otherwise than those of the model
    labels : of a function, in the order of its probabilities
    train : the rows that the model learnt from, for the audits that need them
    out : a new folder for the report, and the rows beside it
    task : TOML file; its sections audit, gates, data and its seed count beside the model's own
    settings : dotted names that win over both, such as ``{"gates.accuracy": ">= 0.9", "data.separator": ";"}``
    minutes : no audit is begun later than this
    timeout : seconds that an answer of a service may take

    Raises
    ------
    TunewrightError
        The model does not answer, the rows cannot be judged, an audit, a column or a gate is not known.
    """
    if out is not None:
        must_be_new(Path(out))
    file = Path(task) if task is not None else None
    given = [text] if isinstance(text, str) else list(text)
    asking = model_of(model, labels=labels, text=given, label=label, file=columns_told(file), seconds=timeout)
    asked = asked_of(asking, file, settings or {}, groups=groups, label=label)
    gates, left_out = gates_looked_at(asked, asking.kinds, only)
    read, issues = rows_asked(asked, rows, label)
    trained = training_rows(asked, train) if train is not None else None
    tell = _Teller(listener, minutes)
    tell.begin(asked.task, read, issues, left_out)
    findings = audits.judge(_findings(asking, asked.task, read, trained, only, tell), gates)
    data = {"test_rows": len(read), "digest": read.digest}
    place = str(Path(out) / "report.html") if out is not None else ""
    found = Audited(findings, asking.digest, data, asked.task.seed, issues, place)
    if out is not None:
        _write(Path(out), found, asking, asked, language_of(asked.task, read))
    return found


class _Teller:
    """Tells the listener how far the audits are, and the audits when the minutes are over."""

    def __init__(self, listener: Listener | None, minutes: float) -> None:
        self._listener = listener or (lambda record: None)
        self._begun = time.monotonic()
        self._minutes = minutes
        self.target = ""

    def say(self, event: str, **facts: Any) -> None:
        self._listener({"event": event, "seconds": time.monotonic() - self._begun, **facts})

    def begin(self, task: Task, rows: Rows, issues: Sequence[Issue], left_out: str) -> None:
        unlabelled = [target.column or target.name for target in task.targets if target.name not in rows.targets]
        ungrouped = [name for name in task.audit.groups if name not in rows.dataset.frame.columns]
        self.say("check", issues=[issue.record() for issue in issues])
        if unlabelled:
            missing = ", ".join(unlabelled)
            self.say("audit", say=f"the rows have no column {missing}: audits that need labels do not run")
        if ungrouped:
            self.say("audit", say=f"the rows have no column {', '.join(ungrouped)}: its groups are not at hand")
        if left_out:
            self.say("audit", say=left_out)
        self.say("audit", say=f"judging on {len(rows):,} rows")

    def watch(self, name: str, share: float) -> str:
        """Why an audit is not to run, or an empty text; see ``audit.Watch``."""
        if time.monotonic() - self._begun > self._minutes * 60:
            return "the minutes were over"
        self.say("audit", say=f"audit {self.target}{name}")
        self.say("progress", stage="audits", share=share, now=self.target + name)
        return ""


def _findings(
    model: Model, task: Task, rows: Rows, train: Rows | None, only: Sequence[str] | None, tell: _Teller
) -> list[Finding]:
    """Of each target; where there are several, findings bear its name."""
    leaked = leaked_rows(train, rows) if train is not None else None
    logits = model.answers(rows.inputs)
    found: list[Finding] = []
    for target in model.kinds:
        context = context_of(model, task, rows, target, logits=logits[target], leaked=leaked, train=train)
        name = target if len(model.kinds) > 1 else ""
        tell.target = f"{name}: " if name else ""
        measured = audits.audit(context, only, costly=True, watch=tell.watch)
        found += [replace(one, target=name) for one in measured]
    return found


def _write(out: Path, found: Audited, model: Model, asked: Asked, language: str) -> None:
    """The folder of the report. How a model was made is told of bundles alone."""
    about, task = dict(model.about), asked.task.model_dump(mode="json")
    task = task if model.predictor is not None else {name: task[name] for name in JUDGING}
    trained = {name: value for name, value in about.get("data", {}).items() if name == "train_rows"}
    about |= {"data": trained | found.data, "task": task}
    record = report.record(about, found.findings, found.issues, language="zh" if language == "zh" else "en")
    record |= {"audited": {"bundle": found.bundle, "data": found.data["digest"]}}
    with new_folder(out) as folder:
        report.write_report(folder, record, found.findings)
        report.write_rows_inside(folder, out.name, found.findings)
