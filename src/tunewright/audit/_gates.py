"""Gates: limits on findings. A bundle that misses one is refused, and the refusal names gate, value and next step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from operator import ge, gt, itemgetter, le, lt

from tunewright.audit._run import promised
from tunewright.core.errors import GateMissed, TunewrightError, nearest
from tunewright.core.plugins import load, names
from tunewright.core.task import GATE
from tunewright.core.types import Finding, Kind

COMPARE: dict[str, Callable[[float, float], bool]] = {">=": ge, ">": gt, "<=": le, "<": lt}

Place = tuple[int, str]
"""Which finding, and which of its numbers: ``""`` = the value, ``low``, ``high``."""


def judge(findings: Sequence[Finding], gates: Mapping[str, str]) -> list[Finding]:
    """The findings, with ``limit`` and ``passed`` on those that gates name.

    A gate is named ``METRIC`` or ``AUDIT.METRIC``, then ``.SLICE`` for a part of the rows, then ``.low`` or ``.high``
    for an end of the interval. Where there are several targets, ``TARGET.`` before it names one of them; without it the
    gate holds for each that has such a finding. Several gates on one finding are joined: ``>= 0.9, low >= 0.88``. A
    gate on a finding without a value is missed.

    Raises
    ------
    TunewrightError
        No finding has the name (with the nearest one), or several have it.
    """
    places = _places(findings)
    limits: dict[int, list[str]] = {}
    for name, limit in gates.items():
        for at, bound in _find(name, places, findings):
            limits.setdefault(at, []).append(f"{bound} {_tidy(limit)}".strip())
    return [_judged(finding, limits[at]) if at in limits else finding for at, finding in enumerate(findings)]


def missed(findings: Sequence[Finding]) -> list[Finding]:
    """The findings whose gate does not hold."""
    return [finding for finding in findings if finding.passed is False]


def check_gates(
    gates: Mapping[str, str],
    kind: Kind | type[Kind] | Mapping[str, Kind | type[Kind]],
    groups: Sequence[str] | None = None,
) -> None:
    """Before minutes of training: does some audit give a finding for every gate?

    kind : one that has learned, or the class before it learns anything; of several targets, by their names
    groups : the columns that the task names; None = not looked at

    Raises
    ------
    TunewrightError
        No audit gives a metric of that name (with the nearest one); those of a second model are given by ``compare``
        alone. Or it is of a group, and the task names no such column. Where an audit does not say what it gives,
        nothing is raised.
    """
    if not gates:  # the audits and what they import are not loaded for nothing
        return
    kinds = kind if isinstance(kind, Mapping) else {"": kind}
    some = {target: _some(one) if isinstance(one, type) else one for target, one in kinds.items()}
    audits = _of_one_model()
    if None in some.values() or any(not hasattr(load("audits", name), "metrics") for name in audits):
        return
    known, spelled = [], []
    for target, one in some.items():
        given = {name: promised(name, one) for name in audits} if one is not None else {}
        plain = [metric for metrics in given.values() for metric in metrics]
        full = plain + [f"{name}.{metric}" for name, metrics in given.items() for metric in metrics]
        known += [metric for metric in plain if metric not in known]
        if len(some) > 1:
            known += [f"{target}.{metric}" for metric in plain]
            full += [f"{target}.{name}" for name in full]
        spelled += full
    for gate in gates:
        if not any(gate == one or gate.startswith(f"{one}.") for one in spelled):
            raise TunewrightError(f"gates.{gate}: no audit measures this", nearest(gate, known))
    if groups is not None:
        by_group = [name for name in audits if getattr(load("audits", name), "BY_GROUP", False)]
        of_groups = {one for kind in some.values() if kind for name in by_group for one in promised(name, kind)}
        for gate in gates:
            _check_group(gate, of_groups, groups)


def _check_group(gate: str, metrics: Iterable[str], groups: Sequence[str]) -> None:
    """A gate on a metric of groups names one of the task's columns behind it, and maybe ``=GROUP``."""
    rest = next((f".{gate}.".partition(f".{one}.")[2] for one in metrics if f".{one}." in f".{gate}."), None)
    if rest is None or any(rest.startswith((f"{name}.", f"{name}=")) for name in groups):
        return
    column = rest.removesuffix(".").removesuffix(".low").removesuffix(".high")
    if column in ("", "low", "high"):
        written = f"{gate}.{groups[0]}" if groups else f"{gate}.COLUMN"
        raise TunewrightError(f"gates.{gate} names no column of groups", f"write gates.{written}")
    known = f"; {nearest(column, groups)}" if groups else ""
    raise TunewrightError(f"gates.{gate}: the task names no group {column!r}", f"set audit.groups{known}")


def asked_by(gates: Iterable[str], kind: Kind) -> list[str]:
    """The costly audits that a gate names: they run although nobody asked for all."""
    named = {name for gate in gates for name in givers(gate, kind)}
    return [name for name in names("audits") if name in named and getattr(load("audits", name), "COSTLY", False)]


def givers(gate: str, kind: Kind) -> list[str]:
    """The audits that promise what a gate names; the one that it names itself (``AUDIT.METRIC``), where it does."""
    given = [(name, metric) for name in _of_one_model() for metric in promised(name, kind)]
    found, named = ([one for one in given if f".{end(one)}." in f".{gate}."] for end in (itemgetter(1), ".".join))
    return list(dict.fromkeys(name for name, _ in named or found))


def _of_one_model() -> list[str]:
    """The audits that need no second model to compare with."""
    return [name for name in names("audits") if "before" not in getattr(load("audits", name), "NEEDS", ())]


def verdicts(finding: Finding) -> list[tuple[str, str, bool]]:
    """Each gate of a judged finding: its name, its limit, and whether it holds."""
    found = []
    for part in finding.limit.split(", ") if finding.limit else ():
        bound, limit = part.split(" ", 1) if part[0].isalpha() else ("", part)
        name = ".".join(filter(None, (finding.name, finding.slice, bound)))
        found.append((name, limit, _holds(finding, bound, limit)))
    return found


def refusal(missed: Sequence[Finding], *, report: str = "") -> GateMissed:
    """The error that refuses a bundle: every missed gate with value, interval and n, and the next thing to try.

    report : where the report of the refused bundle lies
    """
    problems = [
        f"gate {name} {limit} is missed: {_told(finding)}"
        for finding in missed
        for name, limit, holds in verdicts(finding)
        if not holds
    ]
    remedy = next_step(missed[0])
    return GateMissed("; ".join(problems), f"{remedy} (the report: {report})" if report else remedy)


def next_step(finding: Finding) -> str:
    """What to try when a gate on this finding is missed."""
    if finding.value is None:
        return f"see that the audit {finding.audit} can run, or take the gate out"
    if _could_be_chance(finding):
        return "the limit lies inside the interval: judge on more test rows before changing the model"
    try:
        return str(getattr(load("audits", finding.audit), "REMEDY", "")) or _GENERAL
    except Exception:
        return _GENERAL


def _some(kind: type[Kind]) -> Kind | None:
    """Any instance of a kind, only to ask it for the names of its metrics."""
    for values in (["a", "b"], [0.0, 1.0], [["a"], ["b"]]):
        with suppress(ValueError, TypeError, TunewrightError):
            return kind.learn(values, {})
    return None


_GENERAL = "label more training rows, or try --method full with more --minutes"


def _could_be_chance(finding: Finding) -> bool:
    limits = [float(limit.split()[1]) for name, limit, holds in verdicts(finding) if not holds]
    low, high = finding.low, finding.high
    return low is not None and high is not None and all(low <= limit <= high for limit in limits)


def _told(finding: Finding) -> str:
    if finding.value is None:
        return finding.note or "it has no value"
    if finding.low is None or finding.high is None:
        return f"{finding.value:.3f} (n = {finding.n:,})"
    return f"{finding.value:.3f} (95 % interval {finding.low:.3f}–{finding.high:.3f}, n = {finding.n:,})"


def _places(findings: Sequence[Finding]) -> dict[str, list[Place]]:
    places: dict[str, list[Place]] = {}
    for at, finding in enumerate(findings):
        part = f".{finding.slice}" if finding.slice else ""
        for head in _heads(finding):
            for bound in ("", "low", "high"):
                places.setdefault(f"{head}{part}{f'.{bound}' if bound else ''}", []).append((at, bound))
    return places


def _heads(finding: Finding) -> list[str]:
    """How a gate may name it: by metric, or by audit and metric, each with and without its target."""
    heads = dict.fromkeys((finding.metric, f"{finding.audit}.{finding.metric}"))
    return [*heads, *(f"{finding.target}.{head}" for head in heads if finding.target)]


def _find(name: str, places: Mapping[str, list[Place]], findings: Sequence[Finding]) -> list[Place]:
    """What a gate is on: one place of each target that it may mean."""
    found = places.get(name) or _one_each(_silent(name, findings), findings)
    if not found:
        plain = {".".join(filter(None, (one.name, one.slice))) for one in findings}
        raise TunewrightError(f"gates.{name}: no audit measures this", nearest(name, plain))
    if len(found) > len(_one_each(found, findings)):
        audits = [findings[at].audit for at, _ in found]
        problem = f"gates.{name}: several audits measure this: {', '.join(audits)}"
        raise TunewrightError(problem, f"write {audits[0]}.{name}")
    return found


def _silent(name: str, findings: Sequence[Finding]) -> list[Place]:
    """Findings without a value that a gate may mean; those of the target that it names, if it names one."""
    found = [at for at, one in enumerate(findings) if _may_have_given(one, name)]
    named = [at for at in found if findings[at].target and name.startswith(f"{findings[at].target}.")]
    return [(at, "") for at in named or found]


def _one_each(places: Sequence[Place], findings: Sequence[Finding]) -> list[Place]:
    """The first place of each target."""
    return list({findings[at].target: (at, bound) for at, bound in reversed(places)}.values())[::-1]


def _may_have_given(finding: Finding, gate: str) -> bool:
    """An audit that did not run may be the one that a gate means: then the gate is missed, not unknown."""
    silent = finding.value is None and bool(finding.note)
    heads = tuple(f"{head}." for head in _heads(finding))
    return silent and (finding.metric == finding.audit or gate.startswith(heads))


def _judged(finding: Finding, limits: list[str]) -> Finding:
    named = replace(finding, limit=", ".join(limits))
    return replace(named, passed=all(holds for _, _, holds in verdicts(named)))


def _holds(finding: Finding, bound: str, limit: str) -> bool:
    value = getattr(finding, bound or "value")
    sign, number = limit.split()
    return value is not None and COMPARE[sign](value, float(number))


def _tidy(limit: str) -> str:
    matched = GATE.match(limit)
    if matched is None:
        raise TunewrightError(f"{limit!r} is no limit", 'write for example ">= 0.90"')
    return f"{matched[1]} {matched[2]}"
