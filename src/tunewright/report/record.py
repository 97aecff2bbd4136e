"""The record behind a report: what was measured, and how the model was made, as JSON values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.audit import alarms
from tunewright.core.types import Exhibit, Finding

FORMAT = 1


def record(
    about: Mapping[str, Any],
    findings: Sequence[Finding],
    issues: Sequence[Any] = (),
    run: Mapping[str, Any] | None = None,
    training: Sequence[Mapping[str, Any]] = (),
    language: str = "en",
) -> dict[str, Any]:
    """The content of ``report.json``; no row of the data is in it.

    Parameters
    ----------
    about : as a bundle's manifest: name, inputs, targets, backbone, method, task, data
    findings : judged ones
    issues : what ``check`` found, as mappings or dataclasses
    run : facts of the run: ``sources`` of the settings, ``rungs`` that were tried, seconds, peak_rss_bytes, notes
    training : what ``curves`` made of the journal
    language : what the report opens in, ``en`` or ``zh``
    """
    run, task = dict(run or about.get("run") or {}), dict(about.get("task") or {})
    plain = {
        "format": FORMAT,
        "name": about.get("name", ""),
        "language": language,
        "verdict": _verdict(findings),
        "findings": [finding.record() for finding in findings],
        "alarms": [one.record() for one in alarms(findings)],
        "data": about.get("data", {}),
        "seed": task.get("seed"),
        "inputs": about.get("inputs", {}),
        "targets": [{key: one.get(key) for key in ("name", "kind", "labels")} for one in about.get("targets", ())],
        "card": task.get("card") or {},
        "review": task.get("review") or {},
        "method": about.get("method", {}),
        "rungs": [_rung(rung) for rung in run.pop("rungs", [])],
        "training": list(training),
        "backbone": {key: value for key, value in (about.get("backbone") or {}).items() if key != "config"},
        "settings": _settings(task, run.pop("sources", {})),
        "check": [_issue(issue) for issue in issues],
        "exhibits": [_shown(finding, one) for finding in findings for one in finding.exhibits if not one.private],
        "run": {key: value for key, value in run.items() if key not in ("files", "cross_validation")},
    }
    return dict(_json(plain))


def _verdict(findings: Sequence[Finding]) -> dict[str, Any]:
    gated = [finding for finding in findings if finding.limit]
    missed = [finding.name for finding in gated if not finding.passed]
    return {"released": not missed, "gates": len(gated), "missed": missed}


def _settings(task: Mapping[str, Any], sources: Mapping[str, str]) -> list[dict[str, Any]]:
    values = dict(_leaves(task))
    return [{"name": name, "value": value, "source": sources.get(name, "")} for name, value in values.items()]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted names, as the flags spell them."""
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        listed = isinstance(value, list | tuple) and value and isinstance(value[0], Mapping)
        nested = {str(at): one for at, one in enumerate(value)} if listed else value
        if isinstance(nested, Mapping) and nested:
            found += _leaves(nested, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _issue(issue: Any) -> dict[str, Any]:
    told = dict(issue) if isinstance(issue, Mapping) else dataclasses.asdict(issue)
    return {"level": "warn", "name": "", "problem": "", "place": "", "count": 0, "remedy": ""} | told


def _rung(rung: Mapping[str, Any]) -> dict[str, Any]:
    told = {"method": "", "score": None, "error": None, "seconds": None, "size_bytes": None, "gain": None, "low": None}
    told |= {"likelihood_gain": None, "likelihood_low": None}
    trained = (rung.get("facts") or {}).get("trainable_parameters")
    return told | {"kept": False, "peak_rss_bytes": None, "trainable_parameters": trained} | dict(rung)


def _shown(finding: Finding, exhibit: Exhibit) -> dict[str, Any]:
    about = {"audit": finding.audit, "metric": finding.metric}
    about |= {"target": finding.target} if finding.target else {}
    return about | {key: getattr(exhibit, key) for key in ("title", "form", "columns", "rows", "note")}


def _json(value: Any) -> Any:
    """Only what JSON has: numpy numbers become numbers, and what is not finite becomes null."""
    if isinstance(value, Mapping):
        return {str(key): _json(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json(one) for one in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if hasattr(value, "tolist"):
        return _json(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
