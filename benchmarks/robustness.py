"""Does adversarial training make a model sturdier? Typing errors and a word attack on SST-2 (minilm-en, full).

Compared: no defence; `objectives.fgm`; `objectives.pgd`; training rows seen with typing errors (`fit.typos`).
    accuracy       on the test rows as they stand, and its difference to no defence (95 %, paired over rows and seeds)
    typo drop      points lost when about one word in ten has a typing error, over all test rows that have such a word
    attack         share of rightly answered rows whose answer falls: 300 rows, 100 queries, a quarter of the words;
                   every model is attacked anew by its own scores, with the same rows drawn and the same budget
    aims           drop and success a third lower than with no defence, at no more than 0.5 points of accuracy
How: each fit is a process of the installed command, with the same rows, seed and epochs (time is no limit); a process
of this file judges its bundle. Near words, and whether a text stays near, are judged by one frozen encoder for all (a
probe on the same backbone), so that no model is its own judge.

    python benchmarks/robustness.py --seeds 0 1 2                     expected: 90 minutes
    python benchmarks/robustness.py --seeds 0 --arms fgm              expected: 20 minutes
    python benchmarks/robustness.py --seeds 0 --rows 2000 --attacked 100 --arms fgm typos      expected: 6 minutes
"""

from __future__ import annotations

import sys
import tempfile
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from _measure import Worker, answer, digest, held, parser, report, short, tunewright
from _sets import SETS, drawn, written

PLAIN = "no defence"
ARMS = {"fgm": "objectives.fgm=0.3", "pgd": "objectives.pgd=0.3", "typos": "fit.typos=0.3"}
ATTACKED = 300


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS))
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--attacked", type=int, default=ATTACKED)
    options.add_argument("--rows", type=int, default=0, help="training rows, and half as many test rows; 0: all")
    chosen = options.parse_args()
    train, test = SETS["sst2"].parts()
    if chosen.quick:
        chosen.seeds, chosen.epochs, chosen.attacked, chosen.rows = chosen.seeds[:1], 1, 20, 300
    if chosen.rows:
        train, test = drawn(train, chosen.rows, 0), drawn(test, chosen.rows // 2, 0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = written(folder / "train.csv", train), written(folder / "test.csv", test)
        judge = fitted(folder / "judge", *files, "probe", "", 0, 1)
        found = {arm: [] for arm in (PLAIN, *chosen.arms)}
        for seed in chosen.seeds:
            for arm, runs in found.items():
                bundle = fitted(folder / f"{arm}-{seed}", *files, "full", ARMS.get(arm, ""), seed, chosen.epochs)
                runs.append(measured(bundle, files[1], judge, chosen.attacked))
        told = " and ".join(short(digest(path)) for path in files)
    head = ("arm", "accuracy", "against none (95 %)", "typo drop, points", "of none's", "attack succeeds", "of none's")
    head += ("words changed", "queries", "aims: accuracy; drop; attack")
    note = (
        f"n = {len(chosen.seeds)} seeds, {chosen.epochs} epochs; {len(train):,} training rows, {len(test):,} test rows"
    )
    note += f", {chosen.attacked} attacked at most; files {told}"
    report(chosen, head, [row(arm, runs, found[PLAIN]) for arm, runs in found.items()], note, found)


def fitted(bundle: Path, train: Path, test: Path, method: str, setting: str, seed: int, epochs: int) -> Path:
    settings = ["fit.backbone=minilm-en", f"fit.epochs={epochs}", "fit.patience=100", "fit.minutes=600"]
    settings += [setting] if setting else []
    words = ["--test", str(test), "--text", "text", "--label", "label", "--seed", str(seed), "--method", method]
    words += [word for one in settings for word in ("--set", one)]
    tunewright("fit", str(train), *words, "--out", str(bundle), "--quiet")
    return bundle


def measured(bundle: Path, test: Path, judge: Path, attacked: int) -> dict[str, Any]:
    """What the bundle answers: to the test rows, to those with typing errors, and under attack."""
    worker = Worker(__file__)
    try:
        told: dict[str, Any] = worker.ask([str(bundle), str(test), str(judge), attacked])
        return told
    finally:
        worker.stop()


def judged(question: list[Any]) -> dict[str, Any]:
    from dataclasses import replace

    from tunewright.audit._altered import altered, change_of
    from tunewright.audit._nearby import Nearby
    from tunewright.audit.attack import attacked
    from tunewright.pipeline.judge import context_of, labelled
    from tunewright.pipeline.models import Bundle
    from tunewright.runtime.predictor import load

    bundle, test, judge, most = question
    predictor = load(bundle)
    task, rows = labelled(predictor, test)
    (target,) = predictor.kinds
    logits = predictor.logits(rows.inputs)[target]
    context = context_of(Bundle(predictor), task, rows, target, logits=logits)
    context = replace(context, seed=0)  # the same rows for all
    typos = altered(context, change_of("typo", 0), most=context.rows)
    before, after = typos.right
    victims = attacked(context, Nearby(load(judge).embed, context.inputs), most)
    fallen = [one for one in victims if one.fell]
    return {
        "right": (context.decided == context.truth).astype(int).tolist(),
        "lost": (before.astype(int) - after).tolist(),
        "attacked": len(victims),
        "fallen": len(fallen),
        "words": [len(one.changed) for one in fallen],
        "queries": [one.queries for one in victims],
    }


def row(arm: str, runs: list[dict[str, Any]], plain: list[dict[str, Any]]) -> tuple[str, ...]:
    accuracy, drop, success = (mean(figure(run) for run in runs) for figure in (clean, lost, fell))
    words = mean(count for run in runs for count in run["words"] or [0])
    queries = mean(count for run in runs for count in run["queries"])
    own = (f"{accuracy:.4f}", f"{100 * drop:.2f}", f"{100 * success:.1f} %", f"{words:.2f}", f"{queries:.1f}")
    if arm == PLAIN:
        return (f"**{arm}**", own[0], "", own[1], "", own[2], "", own[3], own[4], "")
    pairs = list(zip(runs, plain, strict=True))
    by_row = [100 * mean(column) for column in zip(*(differences(*pair) for pair in pairs), strict=True)]
    gain, half = mean(by_row), 1.96 * stdev(by_row) / sqrt(len(by_row))
    drops, attacks = (share([figure(run) for run in runs], [figure(run) for run in plain]) for figure in (lost, fell))
    aims = (held(-gain, "≤ 0.5"), *(held(one, "≤ 0.67") for one in (drops, attacks)))
    interval = f"{gain:+.2f} ({gain - half:+.2f} to {gain + half:+.2f})"
    setting = f"`{ARMS[arm]}`"
    return (
        setting,
        own[0],
        interval,
        own[1],
        f"{drops:.2f}",
        own[2],
        f"{attacks:.2f}",
        own[3],
        own[4],
        "; ".join(aims),
    )


def differences(run: dict[str, Any], other: dict[str, Any]) -> list[int]:
    return [right - was for right, was in zip(run["right"], other["right"], strict=True)]


def clean(run: dict[str, Any]) -> float:
    return mean(run["right"])


def lost(run: dict[str, Any]) -> float:
    return mean(run["lost"])


def fell(run: dict[str, Any]) -> float:
    return run["fallen"] / run["attacked"]


def share(values: list[float], others: list[float]) -> float:
    """The mean over seeds as a share of the other's; not a number where that is none."""
    return mean(values) / mean(others) if mean(others) > 0 else float("nan")


if __name__ == "__main__":
    if "--worker" in sys.argv:
        answer(judged)
    else:
        main()
