"""Training options: what each one gains over none, on Banking77 and fin_phrasebank (minilm-en, full fine-tuning).

Compared: the objectives, oversampling, layer-wise step sizes, the moving average, soups and distilled ensembles, each
at one strength, with the same fit without it: same rows, same seed, same epochs (time is no limit). Gain in test
accuracy, with its 95 % interval; in macro-F1; smallest and largest gain of a seed; and how many times longer the whole
fit takes.
How: each fit is a process of the installed command; for each seed, all options one after the other. The interval is
over the test rows, paired: for each row the mean over the seeds of right with the option less right without it.
Banking77 has a test file; of fin_phrasebank every fifth distinct sentence is a test row, the same ones for all seeds.
No strength is chosen here; to choose one, use the validation part.

    python benchmarks/objectives.py --seeds 0 1 2                                  expected: 3 hours
    python benchmarks/objectives.py --sets fin_phrasebank --options fgm rdrop      expected: 20 minutes
    python benchmarks/objectives.py --sets fin_phrasebank --rows 1000 --seeds 0    expected: 25 minutes
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from _measure import digest, parser, records, report, short, spread, tunewright
from _sets import SETS, drawn, written

NONE = "none"
OPTIONS: dict[str, str] = {
    "label_smoothing": "objectives.label_smoothing=0.1",
    "focal": "objectives.focal=2.0",
    "class_weight": "objectives.class_weight=0.5",
    "mixup": "objectives.mixup=0.4",
    "rdrop": "objectives.rdrop=1.0",
    "fgm": "objectives.fgm=0.3",
    "pgd": "objectives.pgd=0.3",
    "supcon": "objectives.supcon=0.1",
    "oversample": "fit.oversample=0.5",
    "layer_decay": "fit.layer_decay=0.9",
    "no_average": "fit.average=0.0",
    "soup": "fit.soup=3",
    "ensemble": "fit.ensemble=3",
}
"""Option → its setting. The moving average is on by default: its row says what is lost without it."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", default=["banking77", "fin_phrasebank"], choices=list(SETS))
    options.add_argument("--options", nargs="+", default=list(OPTIONS), choices=list(OPTIONS))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--rows", type=int, default=0, help="training rows, drawn by seed 0; 0: all")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.options, chosen.seeds, chosen.epochs = chosen.options[:2], chosen.seeds[:1], 1
    rows, raw, files = [], {}, []
    with tempfile.TemporaryDirectory() as name:
        for of in chosen.sets:
            folder = Path(name) / of
            folder.mkdir()
            train, test = SETS[of].parts()
            if chosen.quick:
                train, test = drawn(train, 400, 0), drawn(test, 100, 0)
            if chosen.rows:
                train = drawn(train, chosen.rows, 0)
            train, test = written(folder / "train.csv", train), written(folder / "test.csv", test)
            files.append(f"{of} {short(digest(train))} and {short(digest(test))}")
            raw[of] = fits(folder, train, test, chosen)
            rows += [row(of, option, raw[of]) for option in (NONE, *chosen.options)]
    head = ("set", "option", "accuracy", "gain, points (95 %)", "by seed", "macro-F1, points", "× time", "test rows")
    note = f"n = {len(chosen.seeds)} seeds, {chosen.epochs} epochs; training and test rows: {'; '.join(files)}"
    report(chosen, head, rows, note, raw)


def fits(folder: Path, train: Path, test: Path, options: Any) -> dict[str, list[dict[str, Any]]]:
    """Option → one fit per seed; for each seed, all options before the next."""
    found: dict[str, list[dict[str, Any]]] = {option: [] for option in (NONE, *options.options)}
    for seed in options.seeds:
        for option, of_option in found.items():
            of_option.append(one(folder / f"{option}-{seed}", train, test, option, seed, options.epochs))
    return found


def one(bundle: Path, train: Path, test: Path, option: str, seed: int, epochs: int) -> dict[str, Any]:
    """One fit: what it took, and of each test row what it says and what is true."""
    words = ["--test", test, "--text", "text", "--label", "label", "--seed", seed, "--method", "full"]
    settings = ["fit.backbone=minilm-en", f"fit.epochs={epochs}", "fit.patience=100", "fit.minutes=600"]
    settings += [OPTIONS[option]] if option != NONE else []
    words += [word for setting in settings for word in ("--set", setting)]
    done = tunewright("fit", train, *map(str, words), "--out", bundle, "--quiet")
    answers = bundle.with_suffix(".csv")
    tunewright("predict", bundle, test, "--out", answers)
    said = [row["prediction"] for row in records(answers)]
    told = {"seed": seed, **done.figures, "said": said, "true": [row["label"] for row in records(test)]}
    print(option, seed, f"{accuracy(told):.4f}", file=sys.stderr, flush=True)  # each takes minutes
    return told


def row(of: str, option: str, found: dict[str, list[dict[str, Any]]]) -> tuple[str, ...]:
    runs, none = found[option], found[NONE]
    hits = f"{mean(accuracy(run) for run in runs):.4f}"
    n = f"{len(runs[0]['true']):,}"
    if option == NONE:
        return (of, f"**{NONE}**", hits, "", "", f"{100 * mean(map(macro_f1, runs)):.2f} in all", "1.00", n)
    pairs = list(zip(runs, none, strict=True))
    by_seed = [100 * (accuracy(run) - accuracy(other)) for run, other in pairs]
    f1 = 100 * mean(macro_f1(run) - macro_f1(other) for run, other in pairs)
    times = mean(run["wall_s"] / other["wall_s"] for run, other in pairs)
    setting = f"`{OPTIONS[option]}`"
    return (of, setting, hits, gain(pairs), spread(by_seed), f"{f1:+.2f}", f"{times:.2f}", n)


def gain(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Paired gain in points with its 95 % interval over the test rows (normal approximation)."""
    by_row = [100 * mean(column) for column in zip(*(differences(*pair) for pair in pairs), strict=True)]
    middle, half = mean(by_row), 1.96 * stdev(by_row) / sqrt(len(by_row))
    return f"{middle:+.2f} ({middle - half:+.2f} to {middle + half:+.2f})"


def differences(run: dict[str, Any], other: dict[str, Any]) -> list[int]:
    return [right - was for right, was in zip(hit(run), hit(other), strict=True)]


def hit(run: dict[str, Any]) -> list[int]:
    return [int(said == true) for said, true in zip(run["said"], run["true"], strict=True)]


def accuracy(run: dict[str, Any]) -> float:
    return mean(hit(run))


def macro_f1(run: dict[str, Any]) -> float:
    """Mean F1 of the labels that are true or said somewhere."""
    said, true = run["said"], run["true"]
    right = [label for label, wanted in zip(said, true, strict=True) if label == wanted]
    labels = {*said, *true}
    return mean(2 * right.count(label) / (said.count(label) + true.count(label)) for label in labels)


if __name__ == "__main__":
    main()
