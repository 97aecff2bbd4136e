"""What full fine-tuning reaches on whole sets where time is no limit: test accuracy and macro-F1 over five seeds.

Compared: full fine-tuning from the probe with a moving average of the weights, with and without adversarial training
on the embeddings (fgm = 0.3), three epochs. Limits: Banking77 ≥ 0.936; aims: SNIPS ≥ 0.983, TREC ≥ 0.965, both in
accuracy, fin_phrasebank ≥ 0.86 in macro-F1.
How: `tunewright fit --method full` in a process of its own for each set, recipe and seed; a tenth of the training rows,
another one for each seed, chooses the epoch. Test rows are the same for all seeds.

    python benchmarks/full_data.py --sets banking77                    expected: 70 minutes
    python benchmarks/full_data.py --recipes fgm --seeds 0             expected: 60 minutes
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

from _measure import fit, held, measured, parser, report
from _sets import SETS, drawn, written

RECIPES: dict[str, tuple[str, ...]] = {"plain": (), "fgm": ("--set", "objectives.fgm=0.3")}
NAMES = ("banking77", "snips", "trec", "fin_phrasebank", "waimai_10k", "thucnews")
TARGETS = {"banking77": "≥ 0.936", "snips": "≥ 0.983", "trec": "≥ 0.965"}
"""On the mean accuracy."""
TARGETS_F1 = {"fin_phrasebank": "≥ 0.86"}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", default=list(NAMES), choices=list(SETS))
    options.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options.add_argument("--epochs", type=int, default=3)
    chosen = options.parse_args()
    if chosen.quick:
        chosen.sets, chosen.seeds, chosen.epochs = chosen.sets[:1], chosen.seeds[:1], 1
    runs = [
        one(name, recipe, seed, chosen) for name in chosen.sets for seed in chosen.seeds for recipe in chosen.recipes
    ]
    head = ("set", "recipe", "seed", "accuracy", "macro-F1", "test rows", "CPU-s", "peak RSS GB")
    table = [line for name in chosen.sets for recipe in chosen.recipes for line in lines(name, recipe, runs)]
    files = ", ".join(f"{name} {SETS[name].digest}" for name in chosen.sets)
    report(chosen, head, table, f"n = {len(chosen.seeds)} seeds, {chosen.epochs} epochs; {files}", {"runs": runs})


def one(name: str, recipe: str, seed: int, options: Any) -> dict[str, Any]:
    """One fit: what it took, and what the bundle says of itself."""
    train, test = SETS[name].parts()
    if options.quick:
        train, test = drawn(train, 400, 0), drawn(test, 100, 0)
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder) / "train.csv", train), written(Path(folder) / "test.csv", test)
        words = ["--test", str(paths[1]), "--text", "text", "--label", "label", "--method", "full", "--minutes", "600"]
        words += ["--backbone", SETS[name].backbone, "--seed", str(seed), "--drop-empty", *RECIPES[recipe]]
        done, told = fit(Path(folder) / "bundle", paths[0], *words, "--set", f"fit.epochs={options.epochs}")
    del told["targets"]
    print(name, recipe, seed, told["metrics"]["accuracy"], file=sys.stderr, flush=True)
    return {"set": name, "recipe": recipe, "seed": seed, **done.figures, "told": told}


def lines(name: str, recipe: str, runs: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    some = [run for run in runs if (run["set"], run["recipe"]) == (name, recipe)]
    return [*(row(run) for run in some), means(name, recipe, some)]


def row(run: dict[str, Any]) -> tuple[str, ...]:
    metrics = run["told"]["metrics"]
    scores = [measured(metrics[metric]) for metric in ("accuracy", "macro_f1")]
    cost = (f"{run['cpu_s']:.0f}", f"{run['peak_rss_bytes'] / 1e9:.2f}")
    return (run["set"], run["recipe"], str(run["seed"]), *scores, f"{metrics['accuracy']['n']:,}", *cost)


def means(name: str, recipe: str, runs: list[dict[str, Any]]) -> tuple[str, ...]:
    accuracy, f1 = (
        fmean(run["told"]["metrics"][metric]["value"] for run in runs) for metric in ("accuracy", "macro_f1")
    )
    told = f"**{accuracy:.4f}**" + (f" {held(accuracy, TARGETS[name])}" if name in TARGETS else "")
    told_f1 = f"**{f1:.4f}**" + (f" {held(f1, TARGETS_F1[name])}" if name in TARGETS_F1 else "")
    return (name, recipe, "mean", told, told_f1, "", f"{fmean(run['cpu_s'] for run in runs):.0f}", "")


if __name__ == "__main__":
    main()
