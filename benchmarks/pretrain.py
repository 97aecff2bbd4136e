"""Pretraining on the unlabelled rows of a set: few-shot accuracy of a probe before and after, per objective and seed.

Compared: test accuracy of `tunewright fit --method probe` on 10 labelled rows per class (drawn by the seed), on the
backbone as it is and on what `tunewright pretrain` made of it from the texts of all training rows, without their
labels. Test texts are never seen in pretraining.
How: each command is a process of its own, measured from outside; the difference to the backbone as it is is paired over
the test rows, with its 95 % interval (normal approximation).

    python benchmarks/pretrain.py                          expected: 2 hours
    python benchmarks/pretrain.py --sets banking77 --seeds 0 --minutes 2 --threads 1
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from _measure import fit, measured, parser, records, report, tunewright
from _sets import SETS, drawn, few, written

BACKBONE = "minilm-en"
NAMES = ("banking77", "ag_news", "twitter_fin_sent")
PER_CLASS = 10
OBJECTIVES = ("masked", "simcse")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", default=list(NAMES), choices=list(SETS))
    options.add_argument("--objectives", nargs="+", default=list(OBJECTIVES), choices=OBJECTIVES)
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--minutes", type=float, default=5.0, help="time for one pretraining")
    options.add_argument("--epochs", type=int, default=3, help="passes of one pretraining, if the minutes allow")
    options.add_argument("--threads", type=int, default=0)
    chosen = options.parse_args()
    if chosen.quick:
        chosen.minutes, chosen.seeds, chosen.sets = 0.5, chosen.seeds[:1], chosen.sets[:1]
    runs = [run for name in chosen.sets for seed in chosen.seeds for run in compared(name, seed, chosen)]
    head = ("set", "seed", "objective", "steps", "pretraining wall s", "CPU-s", "held-out score", "accuracy", "gain")
    files = ", ".join(f"{name} {SETS[name].digest}" for name in chosen.sets)
    note = (
        f"{BACKBONE}, {PER_CLASS} rows per class, {len(chosen.seeds)} seeds, {runs[0]['n']:,} test rows of the first "
        f"set; pretraining: {chosen.epochs} epochs, {chosen.minutes:g} minutes at the most; {files}"
    )
    report(chosen, head, [row(run) for run in runs] + means(runs), note, {"runs": runs})


def compared(name: str, seed: int, options: Any) -> list[dict[str, Any]]:
    """The backbone as it is, then pretrained by each objective."""
    train, test = SETS[name].parts()
    if options.quick:
        train, test = drawn(train, 400, 0), drawn(test, 100, 0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        written(folder / "few.csv", few(train, PER_CLASS, seed))
        written(folder / "test.csv", test)
        corpus = folder / "corpus.txt"
        corpus.write_text("".join(f"{' '.join(text.split())}\n" for text, _ in train), encoding="utf-8")
        truth = [label for _, label in test]
        before = probed(folder, BACKBONE, seed, options)
        hits = [one == label for one, label in zip(before.pop("answers"), truth, strict=True)]
        runs = [{"set": name, "seed": seed, "objective": "", "n": len(test), **before}]
        for objective in options.objectives:
            made, told = pretrained(folder, corpus, objective, seed, options)
            after = probed(folder, str(made), seed, options)
            now = [one == label for one, label in zip(after.pop("answers"), truth, strict=True)]
            gain = paired([b - a for a, b in zip(hits, now, strict=True)])
            runs.append({"set": name, "seed": seed, "objective": objective, "n": len(test), **after, **told, **gain})
    return runs


def pretrained(folder: Path, corpus: Path, objective: str, seed: int, options: Any) -> tuple[Path, dict[str, Any]]:
    """``tunewright pretrain``: the new backbone, what it took, and what it says of itself."""
    out = folder / objective
    words = ["--backbone", BACKBONE, "--objective", objective, "--seed", str(seed), *threads(options)]
    words += ["--minutes", str(options.minutes), "--epochs", str(options.epochs), "--quiet"]
    done = tunewright("pretrain", corpus, "--out", out, *words)
    told = json.loads((out / "tunewright.json").read_text(encoding="utf-8"))
    return out, {"pretraining": done.figures, "training": told["training"], "corpus": told["corpus"]}


def probed(folder: Path, backbone: str, seed: int, options: Any) -> dict[str, Any]:
    """A probe on a backbone: its test metrics and its answers to the test rows."""
    out = folder / "bundle"
    words = ["--test", folder / "test.csv", "--text", "text", "--label", "label", "--method", "probe", "--force"]
    done, told = fit(out, folder / "few.csv", *words, "--backbone", backbone, "--seed", str(seed), *threads(options))
    answers = folder / "answers.csv"
    tunewright("predict", out, folder / "test.csv", "--out", answers, "--force")
    given = [one["prediction"] for one in records(answers)]
    return {"accuracy": told["metrics"]["accuracy"], "fit": done.figures, "digest": told["digest"], "answers": given}


def threads(options: Any) -> tuple[str, ...]:
    return ("--set", f"fit.threads={options.threads}") if options.threads else ()


def paired(gains: Sequence[int]) -> dict[str, float]:
    """Mean difference of paired hits and its 95 % interval."""
    mean, error = fmean(gains), 1.96 * stdev(gains) / sqrt(len(gains))
    return {"gain": mean, "low": mean - error, "high": mean + error}


def row(run: dict[str, Any]) -> tuple[str, ...]:
    begin = (run["set"], str(run["seed"]), run["objective"] or "as it is")
    if not run["objective"]:
        return (*begin, "", "", "", "", measured(run["accuracy"]), "")
    training, cost = run["training"], run["pretraining"]
    took = (f"{training['steps']:,}", f"{cost['wall_s']:.0f}", f"{cost['cpu_s']:.0f}")
    score = f"{training['before']:.3f} → {training['after']:.3f}"
    gain = f"{100 * run['gain']:+.2f} ({100 * run['low']:+.2f} to {100 * run['high']:+.2f}) points"
    return (*begin, *took, score, measured(run["accuracy"]), gain)


def means(runs: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Per set and objective, the mean over the seeds."""
    out = []
    for name in dict.fromkeys(run["set"] for run in runs):
        for objective in dict.fromkeys(run["objective"] for run in runs):
            some = [run for run in runs if (run["set"], run["objective"]) == (name, objective)]
            accuracy = f"**{fmean(run['accuracy']['value'] for run in some):.4f}**"
            gain = f"{100 * fmean(run['gain'] for run in some):+.2f} points" if objective else ""
            out.append((name, "**mean**", objective or "as it is", "", "", "", "", accuracy, gain))
    return out


if __name__ == "__main__":
    main()
