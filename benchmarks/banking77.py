"""Banking77: what `tunewright fit` reaches with its defaults, in how much time and memory.

Compared: test accuracy, macro-F1, wall time, CPU time and peak RSS of `tunewright fit train.csv --test test.csv`, per
seed, with the limits: mean accuracy ≥ 0.930, wall ≤ 300 s, peak RSS ≤ 2.5 GB (the last two for every seed).
How: every seed is one process of the installed command, measured from outside (wait4), imports and the report included;
the CPU-s column is without the imports, which a process that does nothing else measures. Accuracy is on the 3,080 test
rows, which nothing was chosen on: methods are judged on a validation part of the training rows.

    python benchmarks/banking77.py                                expected: 15 minutes
    python benchmarks/banking77.py --method full --minutes 10     expected: 30 minutes; aim: mean accuracy ≥ 0.935
    python benchmarks/banking77.py --method probe                 expected: 6 minutes
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from _measure import data, digest, fit, held, measured, parser, python, report, sampled, short

ACCURACY = {"auto": "≥ 0.930", "full": "≥ 0.935"}
PEAK_RSS_GB = "≤ 2.5"
IMPORTS = (
    "import tunewright.console, tunewright.train.assemble, tunewright.train.learn, sklearn.linear_model, onnxscript"
)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--method", default="auto", choices=("auto", "probe", "full"))
    options.add_argument("--minutes", type=float, help="time for one fit; default: the tool's own")
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    chosen = options.parse_args()
    if chosen.quick:
        chosen.minutes, chosen.seeds = chosen.minutes or 0.3, chosen.seeds[:1]
    train, test = data("banking77/train.csv"), data("banking77/test.csv")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if chosen.quick:
            train, test = sampled(train, folder, 600), sampled(test, folder, 150)
        imports = python(IMPORTS)
        runs = [one(folder, train, test, seed, chosen) for seed in chosen.seeds]
        note = (
            f"n = {len(runs)} seeds, {runs[0]['told']['metrics']['accuracy']['n']:,} test rows (95 % intervals over "
            f"them); train.csv {short(digest(train))}, test.csv {short(digest(test))}; "
            f"imports took {imports.cpu_s:.1f} CPU-s"
        )
    head = ("seed", "method", "accuracy", "macro-F1", "wall s", "CPU-s", "peak RSS GB")
    rows = [row(run, imports.cpu_s) for run in runs]
    rows += [summary(runs, imports.cpu_s), targets(runs, chosen.method, (chosen.minutes or 5) * 60)]
    report(chosen, head, rows, note, {"imports": imports.figures, "runs": runs})


def one(folder: Path, train: Path, test: Path, seed: int, options: Any) -> dict[str, Any]:
    """One fit: what it took, and what the bundle says of itself."""
    words = ["--test", str(test), "--text", "text", "--label", "category", "--seed", str(seed)]
    if options.method != "auto":
        words += ["--method", options.method]
    if options.minutes:
        words += ["--minutes", str(options.minutes)]
    done, told = fit(folder / f"seed-{seed}", train, *words)
    del told["targets"]  # 77 names
    return {"seed": seed, **done.figures, "told": told}


def row(run: dict[str, Any], imports_cpu_s: float) -> tuple[str, ...]:
    told = run["told"]
    scores = [measured(told["metrics"][name]) for name in ("accuracy", "macro_f1")]
    return (str(run["seed"]), told["method"], *scores, *costs([run], imports_cpu_s))


def summary(runs: list[dict[str, Any]], imports_cpu_s: float) -> tuple[str, ...]:
    scores = [f"{score(runs, name):.4f}" for name in ("accuracy", "macro_f1")]
    return ("**mean**", "", *scores, *costs(runs, imports_cpu_s))


def targets(runs: list[dict[str, Any]], method: str, wall_limit_s: float) -> tuple[str, ...]:
    accuracy = held(score(runs, "accuracy"), ACCURACY[method]) if method in ACCURACY else ""
    wall = held(max(run["wall_s"] for run in runs), f"≤ {wall_limit_s:.0f}")
    memory = held(max(run["peak_rss_bytes"] for run in runs) / 1e9, PEAK_RSS_GB)
    return ("target", "", accuracy, "", wall, "", memory)


def score(runs: list[dict[str, Any]], metric: str) -> float:
    return float(mean(run["told"]["metrics"][metric]["value"] for run in runs))


def costs(runs: list[dict[str, Any]], imports_cpu_s: float) -> tuple[str, str, str]:
    wall_s, cpu_s, rss = (mean(run[name] for run in runs) for name in ("wall_s", "cpu_s", "peak_rss_bytes"))
    return f"{wall_s:.0f}", f"{cpu_s - imports_cpu_s:.0f}", f"{rss / 1e9:.2f}"


if __name__ == "__main__":
    main()
