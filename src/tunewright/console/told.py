"""What a verb has found: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunewright.console.style import escaped, issue_said, measured, out, print_json
from tunewright.core import plugins
from tunewright.core.types import Exhibit, Finding
from tunewright.data.issues import Issue, stop_if_needed
from tunewright.pipeline.compare import Comparison
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
    names = [f"{one.name} ({one.slice})" if one.slice else one.name for one in found]
    width = max(map(len, names), default=0)
    for name, one in zip(names, found, strict=True):
        said = measured(one.record()) if one.value is not None else f"[dim]{escaped(one.note)}[/]"
        out.print(f"{escaped(name):<{width}}  {said}")


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
    if fit["interrupted"]:
        out.print("[yellow]training was interrupted: this is the best so far[/]")
    out.print(f"fit      {fit['seconds']:.0f} s, {fit['peak_rss_bytes'] / 1e9:.2f} GB at most, seed {fit['seed']}")
    out.print(f"digest   {told['digest']}")


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
    for line in terminal(told.texts, told.found, top):
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
