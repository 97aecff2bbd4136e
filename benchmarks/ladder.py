"""The ladder against its first two rungs: `--method auto` beside `lexical` and `probe`, over ten sets.

Compared: test accuracy of the three, on the same rows; for each set and seed other training and test rows are drawn.
The limit: over the seeds of a set, the mean of auto is never more than 0.2 points under the better of the two means.
How: three fits in one process, one after the other, for each set and seed; only the training rows are seen by a fit.

    python benchmarks/ladder.py                                           expected: 90 minutes
    python benchmarks/ladder.py --sets trec sst2 --seeds 0 --minutes 2
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from _measure import held, parser, report, settle
from _sets import SETS, Rows, drawn

METHODS = ("lexical", "probe", "auto")
UNDER = "≤ 0.20"
"""Points that auto may be under the better of the other two."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options.add_argument("--rows", type=int, default=2000, help="training rows of a fit")
    options.add_argument("--test-rows", type=int, default=2000, help="test rows, if there are as many")
    options.add_argument("--minutes", type=float, default=1.0, help="time for one fit")
    chosen = options.parse_args()
    settle()
    if chosen.quick:
        chosen.sets, chosen.seeds, chosen.rows, chosen.test_rows = chosen.sets[:2], [0], 300, 200
    runs = {name: [one(name, seed, chosen) for seed in chosen.seeds] for name in chosen.sets}
    head = ("set", "backbone", "lexical", "probe", "auto", "kept by auto", "auto under the better, points")
    files = ", ".join(f"{name} {SETS[name].digest}" for name in chosen.sets)
    note = (
        f"n = {len(chosen.seeds)} seeds a set, {chosen.rows:,} training rows and up to {chosen.test_rows:,} test rows "
        f"drawn by each, {chosen.minutes:g} minutes a fit; mean accuracy over the seeds; {files}"
    )
    report(chosen, head, [*(row(name, of) for name, of in runs.items()), last(runs)], note, runs)


def one(name: str, seed: int, options: Any) -> dict[str, Any]:
    """Test accuracy of each method, and what auto kept."""
    train, test = SETS[name].parts()
    train, test = drawn(train, options.rows, seed), drawn(test, options.test_rows, seed)
    kept = {method: fitted(SETS[name].backbone, method, train, test, seed, options.minutes) for method in METHODS}
    told = {"set": name, "seed": seed, **kept}
    print(told, file=sys.stderr, flush=True)
    return told


def fitted(backbone: str, method: str, train: Rows, test: Rows, seed: int, minutes: float) -> dict[str, Any]:
    from tunewright import pipeline

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle"
        named = {"fit.method": method, "fit.backbone": backbone, "fit.minutes": minutes, "seed": seed}
        settings = named | {"data.drop_empty": True}
        pipeline.fit(columns(train), test=columns(test), out=out, text="text", label="label", settings=settings)
        told = pipeline.show(out)
    return {
        "accuracy": told["metrics"]["accuracy"]["value"],
        "method": told["method"],
        "seconds": told["fit"]["seconds"],
    }


def columns(rows: Rows) -> dict[str, list[str]]:
    return {"text": [text for text, _ in rows], "label": [label for _, label in rows]}


def row(name: str, runs: list[dict[str, Any]]) -> tuple[str, ...]:
    means = [f"{mean(runs, method):.4f}" for method in METHODS]
    kept = [run["auto"]["method"] for run in runs]
    counts = ", ".join(f"{method} {kept.count(method)}" for method in dict.fromkeys(kept))
    return (name, SETS[name].backbone, *means, counts, f"{under(runs):+.2f}")


def last(runs: Mapping[str, list[dict[str, Any]]]) -> tuple[str, ...]:
    worst = max(under(of) for of in runs.values())
    means = [f"{fmean(mean(of, method) for of in runs.values()):.4f}" for method in METHODS]
    return ("**mean; worst**", "", *means, "", f"{worst:+.2f}; {held(worst, UNDER)}")


def mean(runs: list[dict[str, Any]], method: str) -> float:
    return fmean(run[method]["accuracy"] for run in runs)


def under(runs: list[dict[str, Any]]) -> float:
    """Points by which the better of lexical and probe is above auto."""
    return 100 * (max(mean(runs, "lexical"), mean(runs, "probe")) - mean(runs, "auto"))


if __name__ == "__main__":
    main()
