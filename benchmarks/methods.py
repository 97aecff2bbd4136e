"""Every method on Banking77 and fin_phrasebank (minilm-en): accuracy, trainable parameters, seconds, peak memory.

Compared: test accuracy and macro-F1 with their 95 % intervals over the test rows, trained values, wall and CPU time,
and peak RSS of `tunewright fit --method NAME`, the same rows for all; three epochs, time is no limit.
How: each fit is a process of the installed command, measured from outside; time includes imports, the baseline that
each fit is held against (words alone), export, audits and report. Settings are the methods' own defaults.

    python benchmarks/methods.py                                              expected: 80 minutes
    python benchmarks/methods.py --sets fin_phrasebank --methods probe lora   expected: 5 minutes
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

from _measure import fit, measured, parser, report
from _sets import SETS, drawn, written

METHODS = (
    "lexical",
    "probe",
    "contrastive",
    "top",
    "full",
    "lora",
    "adalora",
    "adapter",
    "prefix",
    "prompt",
    "bitfit",
)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", default=["banking77", "fin_phrasebank"], choices=list(SETS))
    options.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    options.add_argument("--seeds", type=int, nargs="+", default=[0])
    options.add_argument("--epochs", type=int, default=3)
    chosen = options.parse_args()
    if chosen.quick:
        chosen.methods, chosen.seeds, chosen.epochs = chosen.methods[:2], chosen.seeds[:1], 1
    raw = {name: of_set(name, chosen) for name in chosen.sets}
    rows = [row(name, method, runs) for name, of in raw.items() for method, runs in of.items()]
    head = ("set", "method", "accuracy", "macro-F1", "trained values", "wall s", "CPU-s", "peak RSS GB", "test rows")
    note = f"n = {len(chosen.seeds)} seeds, {chosen.epochs} epochs; " + ", ".join(
        f"{name} {SETS[name].digest}" for name in chosen.sets
    )
    report(chosen, head, rows, note, raw)


def of_set(name: str, options: Any) -> dict[str, list[dict[str, Any]]]:
    """Method → one run per seed; for each seed, all methods before the next."""
    train, test = SETS[name].parts()
    if options.quick:
        train, test = drawn(train, 400, 0), drawn(test, 100, 0)
    runs: dict[str, list[dict[str, Any]]] = {method: [] for method in options.methods}
    with tempfile.TemporaryDirectory() as folder:
        paths = written(Path(folder) / "train.csv", train), written(Path(folder) / "test.csv", test)
        for seed in options.seeds:
            for method, done in runs.items():
                done.append(one(Path(folder) / f"{method}-{seed}", *paths, method, seed, options.epochs))
                print(name, method, seed, done[-1]["told"]["metrics"]["accuracy"], file=sys.stderr, flush=True)
    return runs


def one(out: Path, train: Path, test: Path, method: str, seed: int, epochs: int) -> dict[str, Any]:
    """One fit: what it took, and what the bundle says of itself."""
    words = ["--test", str(test), "--text", "text", "--label", "label", "--method", method, "--seed", str(seed)]
    words += ["--backbone", "minilm-en", "--minutes", "600", "--set", f"fit.epochs={epochs}"]
    done, told = fit(out, train, *words)
    del told["targets"]
    return {"seed": seed, **done.figures, "told": told}


def row(name: str, method: str, runs: list[dict[str, Any]]) -> tuple[str, ...]:
    """One method: its figures; of several seeds the means, with the first seed's interval."""
    told = runs[0]["told"]
    scores = [score(runs, metric) for metric in ("accuracy", "macro_f1")]
    trained = told["method_facts"]["trainable_parameters"]
    wall, cpu, rss = (fmean(run[figure] for run in runs) for figure in ("wall_s", "cpu_s", "peak_rss_bytes"))
    n = f"{told['metrics']['accuracy']['n']:,}"
    cost = (f"{wall:.0f}", f"{cpu:.0f}", f"{rss / 1e9:.2f}")
    return (name, method, *scores, f"{trained:,}", *cost, n)


def score(runs: list[dict[str, Any]], metric: str) -> str:
    said = measured(runs[0]["told"]["metrics"][metric])
    if len(runs) == 1:
        return said
    return f"{fmean(run['told']['metrics'][metric]['value'] for run in runs):.4f}; first seed {said}"


if __name__ == "__main__":
    main()
