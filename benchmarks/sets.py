"""Further data sets: thucnews and waimai_10k (Chinese, e5-small), fin_phrasebank (English, minilm-en).

Compared: accuracy and macro-F1 with their 95 % intervals, beside the share of the largest class; no peer.
How: `tunewright fit` with its defaults, each set and seed in a process of its own; the tool splits 80/20 by itself
(stratified, another split for every seed; equal texts never straddle the parts) and scores the 20 %. waimai_10k holds
texts with contradictory labels: they stay in, and `check` warns of them.

    python benchmarks/sets.py                              expected: 50 minutes
    python benchmarks/sets.py --sets thucnews --seeds 0 --minutes 10
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from _measure import data, digest, fit, measured, parser, report, sampled, short

SETS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "thucnews": (
        "thucnews/dev.txt",
        "e5-small",
        ("--text", "text", "--label", "label", "--no-header", "--columns", "text,label", "--separator", r"\t"),
    ),
    "waimai_10k": ("waimai_10k/waimai_10k.csv", "e5-small", ("--text", "review", "--label", "label")),
    "fin_phrasebank": (
        "fin_phrasebank/Sentences_50Agree.txt",
        "minilm-en",
        ("--text", "text", "--label", "label", "--no-header", "--columns", "text,label", "--separator", "@"),
    ),
}
"""Name → file, backbone, how to read it."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--minutes", type=float, help="time for one fit; default: the tool's own")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.minutes, chosen.seeds = chosen.minutes or 0.3, chosen.seeds[:1]
    runs = {name: [one(name, seed, chosen) for seed in chosen.seeds] for name in chosen.sets}
    head = ("set", "backbone", "seed", "method", "largest class", "accuracy", "macro-F1", "test rows", "wall s", "GB")
    rows = [
        line for name, of_set in runs.items() for line in (*(row(name, run) for run in of_set), means(name, of_set))
    ]
    files = ", ".join(f"{name} {short(of_set[0]['file'])}" for name, of_set in runs.items())
    report(chosen, head, rows, f"n = {len(chosen.seeds)} seeds a set, 95 % intervals over the test rows; {files}", runs)


def one(name: str, seed: int, options: Any) -> dict[str, Any]:
    """One fit: what it took, and what the bundle says of itself."""
    path, backbone, words = SETS[name]
    minutes = ("--minutes", str(options.minutes)) if options.minutes else ()
    with tempfile.TemporaryDirectory() as folder:
        file = sampled(data(path), Path(folder), 200) if options.quick else data(path)
        more = ("--backbone", backbone, "--seed", str(seed), *minutes)
        done, told = fit(Path(folder) / name, file, *words, *more)
        return {"seed": seed, "file": digest(file), **done.figures, "told": told}


def row(name: str, run: dict[str, Any]) -> tuple[str, ...]:
    told, metrics = run["told"], run["told"]["metrics"]
    scores = [measured(metrics[metric]) for metric in ("accuracy", "macro_f1")]
    largest = f"{metrics['baseline.accuracy']['value']:.3f}"
    cost = (f"{run['wall_s']:.0f}", f"{run['peak_rss_bytes'] / 1e9:.2f}")
    seed, n = str(run["seed"]), f"{metrics['accuracy']['n']:,}"
    return (name, told["backbone"], seed, told["method"], largest, *scores, n, *cost)


def means(name: str, runs: list[dict[str, Any]]) -> tuple[str, ...]:
    scores = [
        f"**{mean(run['told']['metrics'][metric]['value'] for run in runs):.4f}**"
        for metric in ("accuracy", "macro_f1")
    ]
    wall_s, rss = (mean(run[one] for run in runs) for one in ("wall_s", "peak_rss_bytes"))
    return (name, "", "**mean**", "", "", *scores, "", f"{wall_s:.0f}", f"{rss / 1e9:.2f}")


if __name__ == "__main__":
    main()
