"""What the command line prints: progress, tables, JSON; and the files of answers it writes."""

from __future__ import annotations

import json as jsonlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Listener
from tunewright.core.types import Finding
from tunewright.data import dataset
from tunewright.data.issues import Issue

out = Console(highlight=False, soft_wrap=True)
error = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Listener]:
    """A listener for a run: bars with the time left on a terminal, plain lines elsewhere, nothing if ``quiet``."""
    if quiet:
        yield lambda record: None
    elif error.is_terminal:
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.fields[detail]}"),
            TextColumn("[cyan]{task.fields[left]}[/]"),
        )
        with Progress(*columns, console=error, transient=True) as bars:
            yield _Bars(bars)
    else:
        yield _line


class _Bars:
    """One bar per stage, and a line for each event."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._stages: dict[str, TaskID] = {}
        self._begun = 0.0, 0.0

    def __call__(self, record: dict[str, Any]) -> None:
        if record["event"] != "progress":
            self._clear()
            _line(record)
            return
        stage, share = record["stage"], record["share"]
        if stage not in self._stages:
            self._clear()
            self._stages[stage] = self._bars.add_task(stage, total=1.0, detail="", left="")
            self._begun = record["seconds"], share
        left = record.get("left_seconds", self._left_seconds(record["seconds"], share))
        shown = f"{_clock(left)} left" if left is not None else ""
        self._bars.update(self._stages[stage], completed=share, detail=_detail(record), left=shown)

    def _left_seconds(self, seconds: float, share: float) -> float | None:
        """Until a stage is done that does not say so itself, at the speed since its bar is there."""
        begun, done = self._begun
        return (1 - share) * (seconds - begun) / (share - done) if share > done else None

    def _clear(self) -> None:
        for one in self._stages.values():
            self._bars.remove_task(one)
        self._stages.clear()


def _detail(record: Mapping[str, Any]) -> str:
    """Loss, metric so far and speed of a training; of other stages the share.

    >>> _detail({"loss": 1.25, "metric": "accuracy", "best": 0.5, "cost_per_second": 9120, "unit": "tokens"})
    'loss 1.250  accuracy 0.5000  9,120 tokens/s'
    """
    if "loss" not in record:
        return f"{record['share']:.0%}"
    pieces = [f"loss {record['loss']:.3f}"]
    if "best" in record:
        pieces.append(f"{record['metric']} {record['best']:.4f}")
    if "cost_per_second" in record:
        pieces.append(f"{record['cost_per_second']:,} {record['unit']}/s")
    return "  ".join(pieces)


def _clock(seconds: float) -> str:
    """Minutes and seconds; hours where there are some.

    >>> _clock(75), _clock(3675)
    ('1:15', '1:01:15')
    """
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def _line(record: dict[str, Any]) -> None:
    event = record["event"]
    if event == "settings":
        _settings(record["settings"])
    elif event == "check":
        for issue in record["issues"]:
            error.print(f"[yellow]note[/]  {_escaped(_issue_said(issue))}")
    elif event == "result":
        name = f"{record['target']}.{record['metric']}" if "target" in record else record["metric"]
        error.print(f"[bold]{_escaped(name)}[/] {_measured(record)}")
    elif event == "tuned":
        _trials(record)
    elif "say" in record:
        error.print(f"[dim]{record['seconds']:7.1f} s[/]  {_escaped(record['say'])}")


def _trials(record: Mapping[str, Any]) -> None:
    """All trials of a search, then those that no other one betters."""
    from tunewright.pipeline.tune.told import said

    by_number = {one["number"]: _escaped(said(one, record["objectives"])) for one in record["trials"]}
    for number, line in by_number.items():
        error.print(f"[dim]trial {number:3d}  {line}[/]")
    for number in record["frontier"]:
        winner = "  ← released" if number == record["winner"] else ""
        error.print(f"[bold]frontier[/] trial {number:3d}  {by_number[number]}{winner}")


def _settings(settings: Mapping[str, Sequence[Any]]) -> None:
    """Every resolved setting with where it came from; those that a user gave first."""
    ranked = sorted(settings.items(), key=lambda item: item[1][1] == "default")
    for name, (value, source) in ranked:
        style = "dim" if source == "default" else "cyan"
        shown = jsonlib.dumps(value, ensure_ascii=False)
        error.print(f"[{style}]setting  {_escaped(f'{name} = {shown}')}  ({source})[/]")


def issues(found: Sequence[Issue], *, json: bool) -> None:
    """The table of ``check``; raises the first one that stops a fit."""
    from tunewright.data.issues import stop_if_needed

    if json:
        print_json([vars(issue) for issue in found])
    for issue in () if json else found:
        style = "red" if issue.level == "stop" else "yellow"
        out.print(f"[{style}]{issue.level}[/]  {_escaped(_issue_said(vars(issue)))}")
    stop_if_needed(found)
    if not json:
        out.print(f"[green]nothing stops a fit[/]; {len(found)} notes")


def _issue_said(issue: Mapping[str, Any]) -> str:
    place = (
        f"{issue['place']}: " if issue["place"] and not str(issue["problem"]).startswith(str(issue["place"])) else ""
    )
    return f"{place}{issue['problem']} → {issue['remedy']}"


def findings(found: Sequence[Finding], *, json: bool) -> None:
    """Findings as a table, or as ``{"findings": […]}``."""
    if json:
        print_json({"findings": [finding.record() for finding in found]})
        return
    names = [f"{one.name} ({one.slice})" if one.slice else one.name for one in found]
    width = max(map(len, names), default=0)
    for name, one in zip(names, found, strict=True):
        said = _measured(one.record()) if one.value is not None else f"[dim]{_escaped(one.note)}[/]"
        out.print(f"{_escaped(name):<{width}}  {said}")


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
        out.print(f"{_escaped(name):<16} {_measured(told['metrics'][name])}")
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
        out.print(f"  languages  {one['languages']}\n  found      {_escaped(where)}")


def print_json(value: Any) -> None:
    """To standard output, without styles."""
    sys.stdout.write(jsonlib.dumps(value, ensure_ascii=False, indent=1) + "\n")


def _measured(one: Mapping[str, Any]) -> str:
    interval = f" (95 % interval {one['low']:.4f} – {one['high']:.4f}" if one["low"] is not None else " ("
    return f"{one['value']:.4f}{interval}, n = {one['n']:,})".replace("(, ", "(")


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")


@contextmanager
def source(rows: str, format_name: str) -> Iterator[tuple[str, str]]:
    """Path of the rows, and what messages call it; ``-`` is read into a temporary file first."""
    if rows != "-":
        yield rows, ""
        return
    with dataset.spooled(sys.stdin.buffer, format_name) as path:
        yield str(path), "standard input"


def write(frames: Iterable[pl.DataFrame], path: str, *, force: bool) -> None:
    """Answers into a file by its suffix, or to standard output as csv; the file appears whole or not at all."""
    if path == "-":
        try:
            dataset.write(iter(frames), sys.stdout.buffer)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    target = Path(path)
    writers = [one for one in plugins.names("formats") if hasattr(plugins.load("formats", one), "write")]
    suffixes = {one: tuple(plugins.load("formats", one).SUFFIXES) for one in writers}
    name = next((one for one in writers if target.name.removesuffix(".gz").endswith(suffixes[one])), None)
    if name is None:
        known = ", ".join(one[0] for one in suffixes.values())
        raise TunewrightError(f"{path}: its suffix is that of no format that can be written", f"use one of: {known}")
    if target.exists() and not force:
        raise TunewrightError(f"{path}: it exists already", "pass --force to replace it, or choose another --out")
    dataset.write(iter(frames), target, name)
