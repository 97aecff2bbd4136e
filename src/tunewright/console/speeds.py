"""What ``speed`` has measured, as tables."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from tunewright.console.style import escaped, out, print_json
from tunewright.pipeline.speed import Speed


def speed(found: Speed, *, json: bool) -> None:
    """Bulk, single texts, cold start, the share of the peak, and where the time goes; or JSON."""
    if json:
        print_json(found.record)
        return
    bundle, machine, bulk = found.bundle, found.machine, found.bulk
    can = ", ".join(f"{name} by {machine[name]}" if machine[name] else f"no {name}" for name in ("int8", "bf16"))
    can = f" ({can})" if machine["int8"] is not None else ""
    about = f"{bundle['form']} by {bundle['computed_by']}, {bundle['size_mb']:.1f} MB, {bundle['digest'][:19]}"
    out.print(f"[bold]{escaped(bundle['name'])}[/]  {about}")
    told = f"{machine['processor']}{can}, threads {machine['threads']}, load {machine['load']}"
    out.print(escaped(told))
    spread = f"{bulk['low']:,.0f} to {bulk['high']:,.0f}, n = {bulk['calls']} calls of {bulk['rows']:,} rows"
    out.print(f"\nbulk        {bulk['rows_per_s']:,.0f} rows/s ({spread}, cost {bulk['cost']:,})")
    _cold(found.cold_start)
    _peak(found)
    if found.single:
        out.print(_lengths(found.single))
    shares = ", ".join(f"{escaped(name)} {share:.0%}" for name, share in found.operators.items())
    out.print(f"the graph's time, one thread: {shares}")


def _cold(told: dict[str, Any]) -> None:
    if told["processes"]:
        out.print(
            f"cold start  {told['cpu_s']:.2f} CPU-s, {told['wall_s']:.2f} s, peak {told['peak_mb']:.0f} MB "
            f"(medians of {told['processes']} fresh processes that load and answer one row)"
        )
    else:
        out.print(f"cold start  [dim]{escaped(told['note'])}[/]")


def _peak(found: Speed) -> None:
    if found.share is None:
        out.print("peak        [dim]not measured: the encoder has no products of matrices[/]")
        return
    peaks = ", ".join(f"{form} {speed / 1e9:,.0f}" for form, speed in found.peak.items())
    out.print(f"peak        {found.share:.0%} of the machine's products (measured: {peaks} billion operations/s)")


def _lengths(single: list[dict[str, Any]]) -> Table:
    table = Table(
        "words", "cost", "p50 in ms", "p99 in ms", "n", box=None, title="one text at a time", title_justify="left"
    )
    for one in single:
        told = [_figure(one, name) for name in ("p50_ms", "p99_ms")]
        table.add_row(str(one["words"]), f"{one['cost']:g}", *told, str(one["requests"]))
    return table


def _figure(one: dict[str, Any], name: str) -> str:
    low, high = one[f"{name}_low"], one[f"{name}_high"]
    return f"{one[name]:.2f}" + (f" ({low:.2f} – {high:.2f})" if low is not None else "")
