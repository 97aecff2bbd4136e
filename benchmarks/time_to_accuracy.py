"""Time to the accuracy that the transformers Trainer reaches on Banking77, same weights (minilm-en).

Compared: training time until the mean test accuracy over the seeds is what the Trainer's best is, and until it is 92 %.
Limit: at least 10 times less wall time than the Trainer.
    trainer      batches of 32 of like length, bf16 autocast; step size from a grid of four, five epochs; the step size
                 and the epoch are those with the best validation accuracy, the time is that of the best run alone
    sentence     sentence-transformers embeddings and scikit-learn's logistic regression, strength from a grid of four
    tunewright   words alone, the probe, both blended, then full fine-tuning from the probe, with their defaults (three
                 epochs), blended with words at last
How: each in a process of its own that has loaded and warmed up; for each seed, one after the other. 9,003 training rows
and 1,000 validation rows, the same ones for all sides. The clock stands still while test rows are looked at and, for
the Trainer, while it is judged; Tunewright's own judging counts. A side's accuracy at a time is the mean over seeds.

    python benchmarks/time_to_accuracy.py                                 expected: 80 minutes
    python benchmarks/time_to_accuracy.py --sides sentence tunewright     expected: 15 minutes
    python benchmarks/time_to_accuracy.py --threads 1    beside other work: what counts then is CPU time
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from _measure import Clock, Worker, answer, held, parser, peers, report
from _sets import SETS

SIDES = ("tunewright", "sentence", "trainer")
RATES = (2e-5, 5e-5, 1e-4, 2e-4)
STRENGTHS = (1.0, 10.0, 100.0, 1000.0)
EPOCHS = 5
VALIDATION_ROWS = 1000
GOAL = 0.92
Parts = dict[str, tuple[list[str], list[int]]]
"""train, validation, test → texts and labels"""
Side = Callable[[Parts, int, float], list[dict[str, float]]]
"""(parts, seed, step size) → points: seconds so far, validation and test accuracy"""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options.add_argument("--worker", nargs=3, metavar=("SIDE", "BACKBONE", "THREADS"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        name, backbone, threads = chosen.worker
        side = MAKERS[name](Path(backbone), int(threads))
        return answer(lambda asked: {"points": side(asked["parts"], asked["seed"], asked["rate"])})
    if chosen.quick:
        chosen.seeds = chosen.seeds[:1]
    runs = measure(chosen)
    goals = {"92 %": GOAL}
    if "trainer" in runs:
        goals["the Trainer's best"] = best(runs["trainer"])["test"]
    clock = "cpu_s" if chosen.threads == 1 else "wall_s"
    rows = [row(name, goal, side, runs, clock) for name, goal in goals.items() for side in runs]
    head = ("goal", "accuracy", "side", "step size", "reached after wall s", "CPU-s", "× the time of tunewright")
    curves = [curve(side, points) for side, points in runs.items()]
    note = (
        f"n = {len(chosen.seeds)} seeds, {chosen.threads} threads; wall s: mean test accuracy over the seeds\n"
        + "\n".join(curves)
    )
    report(chosen, head, rows, note, {"runs": runs})
    return None


def measure(chosen: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Side → one entry per seed: its step size and its points."""
    from tunewright.backbones._catalogue import find

    theirs = peers("torch", "transformers", "accelerate", "sentence-transformers", "scikit-learn")
    folder = find("minilm-en").folder
    workers = {
        side: Worker(
            __file__,
            side,
            folder,
            str(chosen.threads),
            interpreter=sys.executable if side == "tunewright" else theirs,
            threads=chosen.threads,
        )
        for side in chosen.sides
    }
    rates = dict.fromkeys(chosen.sides, 0.0)
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in chosen.sides}
    try:
        for worker in workers.values():
            worker.ask({"parts": parts(0, 300), "seed": 0, "rate": RATES[0]})
        for seed in chosen.seeds:
            asked = parts(seed, 600 if chosen.quick else 0)
            for side, worker in workers.items():
                grid = RATES if side == "trainer" and seed == chosen.seeds[0] else (rates[side],)
                tried = [{"rate": rate, **worker.ask({"parts": asked, "seed": seed, "rate": rate})} for rate in grid]
                tried.sort(key=lambda one: max(point["validation"] for point in one["points"]))
                rates[side] = tried[-1]["rate"]
                runs[side].append({"seed": seed, **tried[-1], "others": tried[:-1]})
                print(side, seed, tried, file=sys.stderr, flush=True)
    finally:
        for worker in workers.values():
            worker.stop()
    return runs


def parts(seed: int, most: int) -> Parts:
    """The parts of one seed, labels as numbers; most : so many training rows at the most, 0: all."""
    train, test = SETS["banking77"].parts()
    number = {label: at for at, label in enumerate(sorted({label for _, label in train}))}
    random.Random(seed).shuffle(train)
    validation, train = train[:VALIDATION_ROWS], train[VALIDATION_ROWS:]
    if most:
        train, validation, test = train[:most], validation[: most // 4], test[: most // 4]
    named = {"train": train, "validation": validation, "test": test}
    return {name: ([text for text, _ in rows], [number[label] for _, label in rows]) for name, rows in named.items()}


def mean_points(runs: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The points of a side, each the mean over the seeds."""
    columns = zip(*(run["points"] for run in runs), strict=True)
    return [{key: fmean(point[key] for point in column) for key in column[0]} for column in columns]


def best(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The point with the best validation accuracy."""
    return max(mean_points(runs), key=lambda point: point["validation"])


def reached(runs: list[dict[str, Any]], goal: float) -> dict[str, float] | None:
    """The first point with such a test accuracy."""
    return next((point for point in mean_points(runs) if point["test"] >= goal - 1e-9), None)


def row(name: str, goal: float, side: str, runs: dict[str, list[dict[str, Any]]], clock: str) -> tuple[str, ...]:
    point, ours = reached(runs[side], goal), reached(runs["tunewright"], goal) if "tunewright" in runs else None
    rate = f"{runs[side][0]['rate']:g}" if side == "trainer" else ""
    if point is None:
        return (name, f"{goal:.4f}", side, rate, "never", "", "")
    ratio = point[clock] / ours[clock] if ours else float("nan")
    target = f"; {held(ratio, '≥ 10')}" if side == "trainer" and goal != GOAL else ""
    cost = (f"{point['wall_s']:.1f}", f"{point['cpu_s']:.1f}")
    return (name, f"{goal:.4f}", side, rate, *cost, f"{ratio:.1f}{target}")


def curve(side: str, runs: list[dict[str, Any]]) -> str:
    return f"{side}: " + ", ".join(f"{one['wall_s']:.0f}: {one['test']:.4f}" for one in mean_points(runs))


def hits(said: Any, truth: list[int]) -> float:
    return fmean(int(a) == b for a, b in zip(said, truth, strict=True))


def of_tunewright(backbone: Path, threads: int) -> Side:
    from tunewright.core import plugins
    from tunewright.core.run import Run
    from tunewright.core.task import read_task
    from tunewright.train import device
    from tunewright.train.context import Context
    from tunewright.train.examples import Part
    from tunewright.train.fitted import Fitted
    from tunewright.train.learn import prepare
    from tunewright.train.outputs import frozen, logits_of

    own = {"fit.backbone": str(backbone), "fit.threads": threads, "fit.minutes": 60.0, "inputs.text": "text"}
    own |= {"targets.0.column": "label", "targets.0.labels": [f"{label:02}" for label in range(77)]}
    plain_course = Context.course

    def side(asked: Parts, seed: int, _: float) -> list[dict[str, float]]:
        task, _ = read_task(None, own | {"seed": seed})
        names = {"train": "train", "validation": "validation", "test": "held_out"}
        three = {
            names[name]: Part({"text": texts}, [f"{label:02}" for label in labels])
            for name, (texts, labels) in asked.items()
        }
        points: list[dict[str, float]] = []
        with tempfile.TemporaryDirectory() as name, device.threads(threads):
            clock = Clock()
            context = prepare(task, task.targets[0], three, "en", Run(Path(name), Path(name) / "out", 60.0))

            def note(encoder: Any, head: Any, validation_logits: Any) -> None:
                with clock:
                    said = logits_of(context, encoder, head, context.held_out).argmax(1)
                    judged = hits(validation_logits.argmax(1), asked["validation"][1])
                    points.append({**clock.stood, "validation": judged, "test": hits(said, asked["test"][1])})

            def course(self: Context, name: str, model: Any, **named: Any) -> Any:
                plain = plain_course(self, name, model, **named)

                def judge(of: Any) -> Any:
                    score, logits = plain.judge(of)
                    note(model.encoder, model.head, logits)
                    return score, logits

                return replace(plain, judge=judge)

            def whole(fitted: Fitted) -> None:
                """A point of what reads the rows by itself."""
                with clock:
                    modality = (fitted.backbone or context.backbone).modality
                    windows = context.examples("held_out", modality).windows
                    pieces = frozen(fitted.encoder, fitted.head, modality, windows, context.device)
                    said = context.kind.decide(context.kind.gather(pieces, windows))
                    judged = hits(context.kind.decide(fitted.judged), asked["validation"][1])
                    points.append({**clock.stood, "validation": judged, "test": hits(said, asked["test"][1])})

            Context.course = course  # type: ignore[method-assign]
            context.words = plugins.load("methods", "lexical").fit(context)
            whole(context.words)
            start: Fitted = plugins.load("methods", "probe").fit(context)
            note(start.encoder, start.head, start.validation_logits)
            context.start = context.dense = start
            whole(plugins.load("methods", "blend").fit(context))
            context.dense = plugins.load("methods", "full").fit(context)
            whole(plugins.load("methods", "blend").fit(context))
        return points

    return side


def of_sentence(backbone: Path, threads: int) -> Side:
    import torch
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(backbone), device="cpu")

    def side(asked: Parts, seed: int, _: float) -> list[dict[str, float]]:
        clock = Clock()
        train, validation = (
            model.encode(asked[name][0], normalize_embeddings=True) for name in ("train", "validation")
        )
        tried = []
        for strength in STRENGTHS:
            probe = LogisticRegression(C=strength, max_iter=1000).fit(train, asked["train"][1])
            tried.append((probe.score(validation, asked["validation"][1]), probe))
        score, probe = max(tried, key=lambda one: one[0])
        took = clock.read()
        test = probe.predict(model.encode(asked["test"][0], normalize_embeddings=True))
        return [{**took, "validation": float(score), "test": hits(test, asked["test"][1])}]

    return side


def of_trainer(backbone: Path, threads: int) -> Side:
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(backbone)

    def encoded(part: tuple[list[str], list[int]]) -> list[dict[str, Any]]:
        ids = tokenizer(part[0], truncation=True, max_length=128)["input_ids"]
        return [{"input_ids": one, "labels": label} for one, label in zip(ids, part[1], strict=True)]

    @torch.inference_mode()
    def accuracy(model: Any, part: tuple[list[str], list[int]]) -> float:
        model.eval()
        said: list[int] = [0] * len(part[0])
        order = sorted(range(len(said)), key=lambda at: len(part[0][at]))
        for start in range(0, len(order), 64):
            index = order[start : start + 64]
            batch = tokenizer([part[0][at] for at in index], padding=True, truncation=True, return_tensors="pt")
            for at, label in zip(index, model(**batch).logits.argmax(1).tolist(), strict=True):
                said[at] = label
        model.train()
        return hits(said, part[1])

    def side(asked: Parts, seed: int, rate: float) -> list[dict[str, float]]:
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(backbone, num_labels=77)
        points: list[dict[str, float]] = []
        clock = Clock()

        class Note(TrainerCallback):  # type: ignore[misc]
            def on_epoch_end(self, *_: Any, **__: Any) -> None:
                with clock:
                    judged, test = accuracy(model, asked["validation"]), accuracy(model, asked["test"])
                    points.append({**clock.stood, "validation": judged, "test": test})

        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=EPOCHS,
                per_device_train_batch_size=32,
                learning_rate=rate,
                warmup_steps=0.1,
                train_sampling_strategy="group_by_length",
                bf16=True,
                use_cpu=True,
                seed=seed,
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
            )
            collate = DataCollatorWithPadding(tokenizer)
            Trainer(model, arguments, collate, train_dataset=encoded(asked["train"]), callbacks=[Note()]).train()
        return points

    return side


MAKERS: dict[str, Callable[[Path, int], Side]] = {
    "tunewright": of_tunewright,
    "sentence": of_sentence,
    "trainer": of_trainer,
}


if __name__ == "__main__":
    main()
