"""Few rows a class: Tunewright against SetFit, same weights (minilm-en), same rows, as many threads.

Compared: test accuracy and training time with 8 and 10 rows a class on Banking77, SST-2, TREC and AG News. Limits on
each set: the 95 % interval of the paired difference (over the test rows, mean of the seeds) does not go below −0.5
points, and the time is at most 1/30 of SetFit's; the mean difference is above zero. The interval over the seeds, whose
training rows differ, stands beside it.
How: SetFit with its defaults and num_iterations = 20; Tunewright's `contrastive` with its defaults, which begins with
the probe. Each in a process of its own that has loaded and warmed up; for each set, number of rows and seed, one after
the other; `--threads` for both. `--join` takes sides, cells and seeds from what `--json` wrote before, so that the
comparison can be made in parts. Time is that of training alone (`trainer.train()`; `learn`), from
texts to weights, in CPU-seconds; the limit is on the median ratio. SetFit lives in an environment of its own, made at
first use.

    python benchmarks/few_shot.py                                                    expected: 10 hours
    python benchmarks/few_shot.py --sets sst2 trec ag_news --seeds 0 1 2             expected: 1 hour
    python benchmarks/few_shot.py --sides --join a.json b.json                       the table of earlier runs
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from _measure import Clock, Worker, answer, held, parser, peers, report, spread
from _sets import SETS, drawn, few

NAMES = ("banking77", "sst2", "trec", "ag_news")
SIDES = ("tunewright", "setfit")
QUANTILES = {3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Of Student's distribution, 97.5 %, by the number of seeds."""
Learner = Callable[[list[str], list[int], list[str], int], tuple[list[int], dict[str, float]]]
"""(texts, labels, test texts, seed) → labels of the test texts, what training took"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sets", nargs="+", default=list(NAMES), choices=list(SETS))
    options.add_argument("--per-class", type=int, nargs="+", default=[8, 10])
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--sides", nargs="*", default=list(SIDES), choices=SIDES)
    options.add_argument("--join", type=Path, nargs="+", default=[], metavar="FILE", help="what --json wrote before")
    options.add_argument("--worker", nargs=2, metavar=("SIDE", "BACKBONE"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        return answer(asked(LEARNERS[chosen.worker[0]](Path(chosen.worker[1]))))
    if chosen.quick:
        chosen.sets, chosen.per_class, chosen.seeds = ["sst2"], [8], [0]
    runs = joined(measure(chosen) if chosen.sides else [], chosen.join)
    cells = list(dict.fromkeys((run["cell"][0], run["cell"][1]) for run in runs))
    table = [line for cell in cells for line in lines(cell, [run for run in runs if run["cell"] == list(cell)])]
    head = (
        "set",
        "rows a class",
        "side",
        "accuracy",
        "CPU-s",
        "wall s",
        "difference, points (95 % over test rows; over seeds)",
        "× less CPU time",
    )
    note = "means of accuracy over the seeds, medians of time (smallest–largest)"
    report(chosen, head, table, note, {"runs": runs})
    return None


def measure(chosen: argparse.Namespace) -> list[dict[str, Any]]:
    from tunewright.backbones._catalogue import find

    folder = find("minilm-en").folder
    theirs = peers("torch", "transformers", "setfit") if "setfit" in chosen.sides else ""
    workers = {
        side: Worker(
            __file__, side, folder, interpreter=theirs if side == "setfit" else sys.executable, threads=chosen.threads
        )
        for side in chosen.sides
    }
    runs = []
    try:
        for worker in workers.values():
            worker.ask({"texts": ["good", "bad"] * 8, "labels": [0, 1] * 8, "test": ["well"], "seed": 0})
        for name in chosen.sets:
            train, test = SETS[name].parts()
            test = drawn(test, 200, 0) if chosen.quick else test
            number = {label: at for at, label in enumerate(sorted({label for _, label in train}))}
            truth = [number[label] for _, label in test]
            for rows in chosen.per_class:
                for seed in chosen.seeds:
                    some = few(train, rows, seed)
                    random.Random(seed).shuffle(some)
                    texts, labels = [text for text, _ in some], [number[label] for _, label in some]
                    question = {"texts": texts, "labels": labels, "test": [text for text, _ in test], "seed": seed}
                    told = {side: worker.ask(question) for side, worker in workers.items()}
                    for of in told.values():
                        of["hits"] = [int(said == true) for said, true in zip(of.pop("said"), truth, strict=True)]
                        print(name, rows, seed, fmean(of["hits"]), of["took"], file=sys.stderr, flush=True)
                    runs.append({"cell": [name, rows], "seed": seed, "sides": told})
    finally:
        for worker in workers.values():
            worker.stop()
    return runs


def joined(runs: list[dict[str, Any]], files: list[Path]) -> list[dict[str, Any]]:
    """Runs, and those of earlier files; of a cell and seed that stand in several, each side once, the latest first."""
    earlier = [run for path in files for run in json.loads(path.read_text(encoding="utf-8"))["figures"]["runs"]]
    out: dict[tuple[Any, ...], dict[str, Any]] = {}
    for run in [*runs, *earlier]:
        kept = out.setdefault((*run["cell"], run["seed"]), run | {"sides": {}})
        kept["sides"] = run["sides"] | kept["sides"]
    return list(out.values())


def lines(cell: tuple[str, int], runs: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    out = []
    for side in SIDES:
        of = [run["sides"][side] for run in runs if side in run["sides"]]
        if not of:
            continue
        cpu, wall = ([one["took"][name] for one in of] for name in ("cpu_s", "wall_s"))
        cost = (f"{median(cpu):.1f} ({spread(cpu, 1)})", f"{median(wall):.1f}")
        accuracy = f"{fmean(fmean(one['hits']) for one in of):.4f} (n = {len(of)})"
        both = [run for run in runs if len(run["sides"]) == len(SIDES)]
        against = compared(both) if side == "tunewright" and both else ("", "")
        out.append((cell[0], str(cell[1]), side, accuracy, *cost, *against))
    return out


def compared(runs: list[dict[str, Any]]) -> tuple[str, str]:
    """Paired difference with its intervals over test rows and over seeds, and the median ratio of CPU times."""
    sides = [(run["sides"]["tunewright"], run["sides"]["setfit"]) for run in runs]
    gains = [[100 * (a - b) for a, b in zip(ours["hits"], theirs["hits"], strict=True)] for ours, theirs in sides]
    by_row = [fmean(column) for column in zip(*gains, strict=True)]
    middle, half = fmean(by_row), 1.96 * stdev(by_row) / sqrt(len(by_row))
    ratio = median(theirs["took"]["cpu_s"] / ours["took"]["cpu_s"] for ours, theirs in sides)
    said = f"{middle:+.2f} ({middle - half:+.2f} to {middle + half:+.2f}; {_over_seeds(gains)}; n = {len(runs)})"
    return f"{said}; low {held(middle - half, '≥ -0.5')}", f"{ratio:.1f}; {held(ratio, '≥ 30')}"


def _over_seeds(gains: list[list[float]]) -> str:
    """Student's interval of the mean difference, where there are enough seeds for one."""
    each = [fmean(one) for one in gains]
    if len(each) < 3:
        return "too few seeds"
    half = QUANTILES.get(len(each), 1.96) * stdev(each) / sqrt(len(each))
    return f"{fmean(each) - half:+.2f} to {fmean(each) + half:+.2f}"


def asked(learner: Learner) -> Callable[[Any], dict[str, Any]]:
    def ask(question: Any) -> dict[str, Any]:
        said, took = learner(question["texts"], question["labels"], question["test"], question["seed"])
        return {"said": said, "took": took}

    return ask


def of_tunewright(backbone: Path) -> Learner:
    from tunewright.core.run import Run
    from tunewright.core.task import read_task
    from tunewright.train.examples import Part
    from tunewright.train.learn import learn, prepare
    from tunewright.train.outputs import logits_of

    def learner(texts: list[str], labels: list[int], test: list[str], seed: int) -> tuple[list[int], dict[str, float]]:
        own = {"fit.backbone": str(backbone), "fit.method": "contrastive", "fit.minutes": 60.0}
        own |= {"inputs.text": "text", "targets.0.column": "label", "seed": seed}
        own |= {"targets.0.labels": [f"{label:02}" for label in sorted(set(labels))]}
        task, _ = read_task(None, own)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            parts = cut(texts, labels, seed) | {"held_out": Part({"text": test}, ["00"] * len(test))}
            context = prepare(task, task.targets[0], parts, "en", Run(folder, folder / "out", 60.0))
            assert context.backbone.width  # it is loaded here, as SetFit's is before its training begins
            clock = Clock()
            fitted, _ = learn(context, baseline=False)
            took = clock.read()
            logits = logits_of(context, fitted.encoder, fitted.head, context.held_out)
        return logits.argmax(1).tolist(), took

    def cut(texts: list[str], labels: list[int], seed: int) -> dict[str, Part]:
        """A tenth of the rows (at least one a class) to choose by, as ``fit`` cuts them."""
        order = random.Random(seed).sample(range(len(texts)), len(texts))
        of_class: dict[int, list[int]] = {}
        for at in order:
            of_class.setdefault(labels[at], []).append(at)
        judged = {at for rows in of_class.values() for at in rows[: max(1, len(rows) // 10)]}
        parts = {"train": [at for at in order if at not in judged], "validation": sorted(judged)}
        return {
            name: Part({"text": [texts[at] for at in index]}, [f"{labels[at]:02}" for at in index])
            for name, index in parts.items()
        }

    return learner


def of_setfit(backbone: Path) -> Learner:
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    def learner(texts: list[str], labels: list[int], test: list[str], seed: int) -> tuple[list[int], dict[str, float]]:
        model = SetFitModel.from_pretrained(str(backbone))
        with tempfile.TemporaryDirectory() as folder:
            own = {"report_to": "none", "save_strategy": "no", "logging_strategy": "no", "show_progress_bar": False}
            arguments = TrainingArguments(output_dir=folder, num_iterations=20, seed=seed, **own)
            rows = Dataset.from_dict({"text": texts, "label": labels})
            clock = Clock()
            trainer = Trainer(model=model, args=arguments, train_dataset=rows)
            trainer.train()
            took = clock.read()
        return [int(one) for one in model.predict(test, as_numpy=True)], took

    return learner


LEARNERS: dict[str, Callable[[Path], Learner]] = {"tunewright": of_tunewright, "setfit": of_setfit}


if __name__ == "__main__":
    main()
