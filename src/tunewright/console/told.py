"""What a verb has found: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.audit import alarms, verdicts
from tunewright.console.style import escaped, issue_said, measured, out, print_json
from tunewright.core import plugins
from tunewright.core.bundle import ENCODER, UPPER
from tunewright.core.types import Exhibit, Finding
from tunewright.data.issues import Issue, stop_if_needed
from tunewright.pipeline.attempts import COLUMNS
from tunewright.pipeline.audit import Audited
from tunewright.pipeline.compare import Comparison
from tunewright.pipeline.compress import Compressed
from tunewright.pipeline.explain import Explained


def issues(found: Sequence[Issue], *, json: bool) -> None:
    """The table of ``check``; raises the first one that stops a fit."""
    if json:
        print_json([vars(issue) for issue in found])
    for issue in () if json else found:
        style = "red" if issue.level == "stop" else "yellow"
        out.print(f"[{style}]{issue.level}[/]  {escaped(issue_said(vars(issue)))}")
    stop_if_needed(found)
    if not json:
        out.print(f"[green]nothing stops a fit[/]; {len(found)} notes")


def findings(found: Sequence[Finding], *, json: bool) -> None:
    """Findings as a table, or as ``{"findings": […]}``."""
    if json:
        print_json({"findings": [finding.record() for finding in found]})
        return
    _lines(found)


def _lines(found: Sequence[Finding]) -> None:
    names = [f"{one.name} ({one.slice})" if one.slice else one.name for one in found]
    width = max(map(len, names), default=0)
    for name, one in zip(names, found, strict=True):
        said = measured(one.record()) if one.value is not None else f"[dim]{escaped(one.note)}[/]"
        out.print(f"{escaped(name):<{width}}  {said}")


def audited(told: Audited, *, json: bool) -> None:
    """The findings of each audit, whether it ran or not, then the gates; or JSON."""
    if json:
        print_json(told.record)
        return
    for name in dict.fromkeys(one.audit for one in told.findings):
        own = [one for one in told.findings if one.audit == name]
        out.print(f"\n[bold]{escaped(name)}[/]")
        notes = {one.note for one in own}
        if len(notes) == 1 and all(one.value is None for one in own):
            out.print(f"[dim]{escaped(notes.pop())}[/]")
        else:
            _lines(own)
    gates = [(one, *verdict) for one in told.findings for verdict in verdicts(one)]
    if gates:
        out.print("\n[bold]gates[/]")
    for one, name, limit, holds in gates:
        style, outcome = ("green", "holds") if holds else ("red", "missed")
        value = measured(one.record()) if one.value is not None else escaped(one.note)
        out.print(f"{escaped(name)} {limit}  [{style}]{outcome}[/]  {value}")
    _alarmed(told.findings)
    if told.report:
        out.print(f"\nreport in {escaped(told.report)}")


def _alarmed(findings: Sequence[Finding]) -> None:
    """What looks wrong although no gate asks for it."""
    found = alarms(findings)
    if found:
        out.print("\n[bold]looks wrong[/], though no gate asks for it")
    for one in found:
        name = ".".join(filter(None, (one.finding.name, one.finding.slice)))
        value = measured(one.finding.record())
        out.print(f"[yellow]{escaped(one.why[0])}[/]  {escaped(name)} {one.limit}  {value}")


def comparison(found: Comparison, *, json: bool) -> None:
    """Two bundles side by side: the sentence, the differences, the flips, and the classes that changed most."""
    if json:
        print_json(found.record)
        return
    for name, told in found.compared.items():
        out.print(f"{name}  {escaped(told['name'])}: {told['method']} on {told['backbone']}, {told['digest'][:19]}")
    out.print(f"[bold]{escaped(found.sentence)}[/]")
    for one in found.findings:
        for exhibit in one.exhibits:
            if not exhibit.private:
                title = f"{one.target}: {exhibit.title}" if one.target else exhibit.title
                out.print(f"\n[bold]{escaped(title)}[/]\n{escaped(_lined_up(exhibit))}")
        if one.metric in CHANGES and one.value is not None:
            out.print(f"{escaped(one.name):<18} {measured(one.record())}: {one.note}")


def compressed(done: Compressed, *, json: bool) -> None:
    """What was tried, and where the compressed bundle lies."""
    if json:
        print_json(done.record)
        return
    tried(done.exhibit, json=False)
    out.print(f"compressed: {escaped(str(done.folder))}, {done.digest}")


def tried(exhibit: Exhibit, *, json: bool) -> None:
    """The table of attempts; columns without any value are left out."""
    if json:
        print_json({"tried": [dict(zip(COLUMNS, row, strict=True)) for row in exhibit.rows]})
        return
    shown = [at for at, _ in enumerate(exhibit.columns) if any(row[at] is not None for row in exhibit.rows)]
    rows = tuple(tuple(row[at] for at in shown) for row in exhibit.rows)
    plain = Exhibit(exhibit.title, exhibit.form, tuple(exhibit.columns[at] for at in shown), rows)
    out.print(escaped(_lined_up(plain, shown=len(rows))), soft_wrap=True)


CHANGES = frozenset({"right_to_wrong", "wrong_to_right", "other_changes", "farther_off", "nearer"})
"""Findings of a comparison that are shares of rows."""


def _lined_up(exhibit: Exhibit, shown: int = 10) -> str:
    """The first rows of a table, its columns under each other."""
    rows = [[_cell(value) for value in row] for row in exhibit.rows[:shown]]
    widths = [max(map(len, column)) for column in zip(exhibit.columns, *rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(cells)).rstrip()
        for cells in (list(zip(row, widths, strict=True)) for row in (exhibit.columns, *rows))
    ]
    more = len(exhibit.rows) - shown
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0e}" if 0 < abs(value) < 0.00005 else f"{value:.4f}"
    return "" if value is None else str(value)


def record(told: Mapping[str, Any], *, json: bool) -> None:
    """A bundle, for a person or as JSON."""
    if json:
        print_json(told)
        return
    out.print(f"[bold]{told['name']}[/]  {told['method']} on {told['backbone']}, {told['size_bytes'] / 1e6:.1f} MB")
    for target in told["targets"]:
        count = f", {len(target['labels'])} labels" if target["labels"] else ""
        out.print(f"target   {target['name']} ({target['kind']}{count}) from {', '.join(told['inputs'])}")
    for name in (name for name in _headlines(told["targets"]) if name in told["metrics"]):
        out.print(f"{escaped(name):<16} {measured(told['metrics'][name])}")
    data, fit = told["data"], told["fit"]
    counts = f"{data['train_rows']:,} training, {data['validation_rows']:,} validation, {data['test_rows']:,} test"
    out.print(f"rows     {counts}; judged on the {data['judged_on']} rows")
    layers = {name: one for name, one in told["parts"].items() if name.startswith((ENCODER, UPPER))}
    if len(layers) > 1:
        out.print(f"encoder  in two parts: {', '.join(_part(name, one) for name, one in layers.items())}")
    for one in told["method_facts"].get("compressed", ()):
        out.print(f"compress {escaped(one['step'])} ({escaped(one['setting'])}), from {one['from'][:19]}")
    if fit["interrupted"]:
        out.print("[yellow]training was interrupted: this is the best so far[/]")
    out.print(f"fit      {fit['seconds']:.0f} s, {fit['peak_rss_bytes'] / 1e9:.2f} GB at most, seed {fit['seed']}")
    out.print(f"digest   {told['digest']}")


def _part(name: str, told: Mapping[str, int]) -> str:
    updates = f" and {told['updates_bytes'] / 1e6:.2f} MB of updates beside it" if told["updates_bytes"] else ""
    return f"{name} {told['size_bytes'] / 1e6:.1f} MB{updates}"


def _headlines(targets: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first metrics of each target, by the names that they have in a bundle."""
    heads = {one["name"]: plugins.load("kinds", one["kind"]).headline for one in targets}
    return [metric if len(heads) == 1 else f"{name}.{metric}" for name, own in heads.items() for metric in own]


def explanations(told: Explained, *, top: int, json: bool) -> None:
    """The text with coloured words, and a table of the ``top`` strongest; or JSON."""
    from tunewright.report.explanation import terminal

    if json:
        print_json(told.record)
        return
    for line in terminal(told.texts, told.found, top, [vars(one) for one in told.near]):
        out.print(line)


def models(found: Sequence[Mapping[str, Any]], *, json: bool) -> None:
    """The named backbones."""
    if json:
        print_json(found)
        return
    for one in found:
        where = (
            ", ".join(f"{place['source']}: {place['folder']}" for place in one["found"]) or f"not here; {one['ways']}"
        )
        out.print(
            f"[bold]{one['name']}[/]  {one['what']}; {one['parameters'] / 1e6:.1f} M parameters, {one['licence']}"
        )
        out.print(f"  languages  {one['languages']}\n  found      {escaped(where)}")
