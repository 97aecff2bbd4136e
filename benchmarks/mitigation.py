"""Mitigation: how far each option closes a planted gap between two groups, and what it costs, on SST-2 and Banking77.

The plant: every text begins with "the man says :" or "the woman says :", and the column `who` holds which of the two.
Of the training rows 20 % are the woman's, and 90 % of hers have one of every second label (for SST-2: 0, for Banking77:
the first, third, … by name); so the woman is heard to ask for these labels whatever she says. Of the test rows half are
the woman's, whatever the label, so that a model that does not care who speaks has no gap. Nothing else is changed.

Compared: the task without any mitigation, and with each of `fairness.reweigh`, `fairness.augment` (its own lists know
man and woman), `fairness.thresholds`, and `objectives.group_dro` where the method trains by gradient.
Measured on the test rows, mean over seeds: accuracy; the gap, which is the larger difference between the two groups in
accuracy on rows of the favoured labels and on rows of the others (equalised odds); the worst of these four cells; the
plain difference in accuracy between the groups. The aim: the gap at least halves, at most one point of accuracy is
lost, and the worst cell does not fall.
How: each fit is a process of the installed command; all options learn from the same rows.

    python benchmarks/mitigation.py --method probe                                 expected: 15 minutes
    python benchmarks/mitigation.py --method full                                  expected: 4 hours
    python benchmarks/mitigation.py --method probe --rows 2000 --seeds 0           expected: 3 minutes
"""

from __future__ import annotations

import csv
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from _measure import digest, held, parser, records, report, short, spread, tunewright
from _sets import SETS, drawn

NONE = "none"
OPTIONS: dict[str, tuple[str, ...]] = {
    NONE: (),
    "reweigh": ("fairness.reweigh=true",),
    "augment": ("fairness.augment=true",),
    "thresholds": ("fairness.thresholds=true",),
    "group_dro": ("objectives.group_dro=0.01",),
}
CLOSED = ("probe", "lexical", "blend")
SHARE, FAVOURED = 0.2, 0.9
"""Of the training rows, those that are the woman's; of hers, those with a favoured label."""
CELLS = [(who, favoured) for who in ("man", "woman") for favoured in (True, False)]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", default=["sst2", "banking77"], choices=list(SETS))
    options.add_argument("--options", nargs="+", default=list(OPTIONS), choices=list(OPTIONS))
    options.add_argument("--method", default="probe")
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--rows", type=int, default=0, help="training rows, and half as many test rows; 0: all")
    chosen = options.parse_args()
    if chosen.quick:
        chosen.sets, chosen.seeds, chosen.rows = chosen.sets[:1], chosen.seeds[:1], 200
    chosen.options = [one for one in chosen.options if one != "group_dro" or chosen.method not in CLOSED]
    rows, raw = [], {}
    with tempfile.TemporaryDirectory() as name:
        for of in chosen.sets:
            raw[of] = {option: [] for option in chosen.options}
            for seed in chosen.seeds:
                folder = Path(name) / f"{of}-{seed}"
                folder.mkdir()
                train, test, favoured = planted(folder, of, seed, chosen.rows)
                for option in chosen.options:
                    found = one(folder / option, train, test, favoured, option, seed, chosen.method, SETS[of].backbone)
                    raw[of][option].append(found | {"train": short(digest(train)), "test": short(digest(test))})
            rows += [row(of, option, raw[of]) for option in chosen.options]
    head = ("set", "option", "accuracy", "gap", "by seed", "worst cell", "groups apart", "the aim")
    limit = f", {chosen.rows:,} training and {chosen.rows // 2:,} test rows at the most" if chosen.rows else ""
    report(chosen, head, rows, f"method {chosen.method}, n = {len(chosen.seeds)} seeds{limit}", raw)


def planted(folder: Path, of: str, seed: int, most: int) -> tuple[Path, Path, set[str]]:
    """The biased copy: its training and its test file, and the labels that the woman is given."""
    train, test = SETS[of].parts()
    if most:
        train, test = drawn(train, most, seed), drawn(test, most // 2, seed)
    favoured = set(sorted({label for _, label in train})[::2])
    draws = random.Random(seed)
    order = draws.sample(range(len(train)), len(train))
    hers = round(SHARE * len(train))
    wanted = {True: round(FAVOURED * hers), False: hers - round(FAVOURED * hers)}
    by_label = {side: [at for at in order if (train[at][1] in favoured) == side] for side in wanted}
    women = {at for side, count in wanted.items() for at in by_label[side][:count]}
    half = set(draws.sample(range(len(test)), len(test) // 2))
    parts = [(folder / "train.csv", train, women), (folder / "test.csv", test, half)]
    for path, rows, hers_of in parts:
        with path.open("w", encoding="utf-8", newline="") as file:
            out = csv.writer(file)
            out.writerow(("text", "label", "who"))
            for at, (text, label) in enumerate(rows):
                who = "woman" if at in hers_of else "man"
                out.writerow((f"the {who} says : {text}", label, who))
    return folder / "train.csv", folder / "test.csv", favoured


def one(
    bundle: Path, train: Path, test: Path, favoured: set[str], option: str, seed: int, method: str, backbone: str
) -> dict[str, Any]:
    """One fit, and what its answers on the test rows come to."""
    settings = ["audit.groups=['who']", f"fit.backbone={backbone}", "fit.minutes=600", *OPTIONS[option]]
    words = ["--test", test, "--text", "text", "--label", "label", "--seed", seed, "--method", method]
    words += [word for setting in settings for word in ("--set", setting)]
    done = tunewright("fit", train, *map(str, words), "--out", bundle, "--quiet")
    answers = bundle.with_suffix(".csv")
    tunewright("predict", bundle, test, "--out", answers)
    true = records(test)
    right = [said["prediction"] == row["label"] for said, row in zip(records(answers), true, strict=True)]
    cells = {
        cell: [hit for hit, row in zip(right, true, strict=True) if of_cell(row, favoured) == cell] for cell in CELLS
    }
    return {"seed": seed, **done.figures, "rows": len(right), "accuracy": mean(right), **gaps(cells)}


def of_cell(row: Mapping[str, str], favoured: set[str]) -> tuple[str, bool]:
    return row["who"], row["label"] in favoured


def gaps(cells: Mapping[tuple[str, bool], Sequence[bool]]) -> dict[str, float]:
    """What groups and labels come to, from the hits of each of the four cells."""
    shares = {cell: mean(hits) for cell, hits in cells.items()}
    apart = [abs(shares["man", side] - shares["woman", side]) for side in (True, False)]
    whole = [mean([*cells[who, True], *cells[who, False]]) for who in ("man", "woman")]
    return {"gap": max(apart), "worst": min(shares.values()), "apart": abs(whole[0] - whole[1])}


def row(of: str, option: str, found: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[str, ...]:
    runs = found[option]
    middle = {name: mean(run[name] for run in runs) for name in ("accuracy", "gap", "worst", "apart")}
    told = [f"{middle['accuracy']:.4f}", f"{middle['gap']:.4f}", spread([run["gap"] for run in runs], 3)]
    told += [f"{middle['worst']:.4f}", f"{middle['apart']:.4f}"]
    if option == NONE or NONE not in found:
        return (of, f"**{option}**", *told, "")
    before = {name: mean(run[name] for run in found[NONE]) for name in middle}
    aims = (
        f"gap × {held(round(middle['gap'] / max(before['gap'], 1e-9), 2), '≤ 0.5')}",
        f"points lost {held(round(100 * (before['accuracy'] - middle['accuracy']), 2), '≤ 1')}",
        f"worst gained {held(round(100 * (middle['worst'] - before['worst']), 2), '≥ 0')}",
    )
    return (of, f"`{' '.join(OPTIONS[option])}`", *told, "; ".join(aims))


if __name__ == "__main__":
    main()
