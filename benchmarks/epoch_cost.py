"""Cost of one epoch of full fine-tuning on Banking77 rows, against the transformers Trainer, same weights.

Compared, at 32 and at 128 rows a step, dropout and updates of the embeddings as the model has them on both sides:
    tunewright   the gradient loop with its defaults (batches of like length, bf16 where native, moving average)
    grouped      Trainer, train_sampling_strategy="group_by_length", padding to the longest of a batch, fp32
    grouped16    the same with bf16 autocast
    padded       Trainer, every row padded to 128 tokens, fp32 (on a quarter of the rows: it is slow)
How: each in a process of its own that has loaded and warmed up; a round runs one after the other on the same rows,
drawn anew for each round; what counts is seconds per row (with one thread CPU-seconds), the ratio is taken round by
round, its median counts. Judging and checkpoints are off on all sides. Peers live in an environment of their own, made
at first use.
Targets: grouped / tunewright ≥ 3, grouped16 / tunewright ≥ 1.5, padded / tunewright ≥ 25.

    python benchmarks/epoch_cost.py                expected: 15 minutes
    python benchmarks/epoch_cost.py --threads 1    beside other work: what counts then is CPU time; 30 minutes
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from _measure import Worker, answer, data, held, parser, peers, records, report, spread

PEERS = ("tunewright", "grouped", "grouped16", "padded")
TARGETS = {"grouped": "≥ 3", "grouped16": "≥ 1.5", "padded": "≥ 25"}
LONGEST = 128
PADDED_SHARE = 4
Rows = list[tuple[str, int]]
Epoch = Callable[[Rows], None]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=1536, help="rows of one epoch")
    options.add_argument("--batches", type=int, nargs="+", default=[32, 128])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    options.add_argument("--worker", nargs=4, metavar=("PEER", "BACKBONE", "BATCH", "THREADS"), help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        peer, backbone, batch, threads = chosen.worker
        return answer(timed(MAKERS[peer](Path(backbone), int(batch), int(threads))))
    if chosen.quick:
        chosen.rows, chosen.rounds, chosen.batches = 128, 2, [32]
    from tunewright.backbones._catalogue import find

    theirs = peers("torch", "transformers", "accelerate")
    table, raw = [], {}
    for batch in chosen.batches:
        rounds = measure(chosen, find("minilm-en").folder, batch, theirs)
        raw[batch] = rounds
        counted = "cpu_s" if chosen.threads == 1 else "wall_s"
        table += [row(peer, batch, rounds, counted) for peer in chosen.peers]
    head = ("batch", "peer", "ms per row", "CPU-ms per row", "× the time of tunewright", "target")
    note = (
        f"n = {chosen.rounds} interleaved rounds of {chosen.rows} rows (padded: a quarter), {chosen.threads} threads; "
        "medians, smallest–largest"
    )
    report(chosen, head, table, note, {"rounds": raw})
    return None


def measure(chosen: argparse.Namespace, backbone: Path, batch: int, theirs: Path) -> list[dict[str, dict[str, float]]]:
    """Rounds of peer → seconds per row."""
    rows = records(data("banking77/train.csv"))
    position = {label: at for at, label in enumerate(sorted({one["category"] for one in rows}))}
    pairs = [(one["text"], position[one["category"]]) for one in rows]
    threads = chosen.threads
    workers = {
        peer: Worker(
            __file__,
            *(peer, backbone, str(batch), str(threads)),
            interpreter=sys.executable if peer == "tunewright" else theirs,
            threads=threads,
        )
        for peer in chosen.peers
    }
    try:
        for worker in workers.values():
            worker.ask(pairs[: 2 * batch])
        rounds = []
        for seed in range(chosen.rounds):
            drawn = random.Random(seed).sample(pairs, min(chosen.rows, len(pairs)))
            rounds.append({peer: per_row(peer, worker, drawn) for peer, worker in workers.items()})
        return rounds
    finally:
        for worker in workers.values():
            worker.stop()


def per_row(peer: str, worker: Worker, rows: Rows) -> dict[str, float]:
    some = rows[::PADDED_SHARE] if peer == "padded" else rows
    return {name: seconds / len(some) for name, seconds in worker.ask(some).items()}


def row(peer: str, batch: int, rounds: list[dict[str, dict[str, float]]], counted: str) -> tuple[str, ...]:
    wall, cpu = ([one[peer][name] * 1e3 for one in rounds] for name in ("wall_s", "cpu_s"))
    ratios = [one[peer][counted] / one["tunewright"][counted] for one in rounds]
    target = held(median(ratios), TARGETS[peer]) if peer in TARGETS else ""
    times = f"{median(ratios):.2f} ({spread(ratios)})"
    return (
        str(batch),
        peer,
        f"{median(wall):.2f} ({spread(wall)})",
        f"{median(cpu):.2f} ({spread(cpu)})",
        times,
        target,
    )


def timed(epoch: Epoch) -> Callable[[Any], dict[str, float]]:
    def ask(rows: Any) -> dict[str, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        epoch([tuple(one) for one in rows])
        return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}

    return ask


def of_tunewright(backbone: Path, batch: int, threads: int) -> Epoch:
    from tunewright.core.run import Run
    from tunewright.core.task import read_task
    from tunewright.train.checkpoint import Checkpoints
    from tunewright.train.course import Model
    from tunewright.train.examples import Part
    from tunewright.train.learn import prepare
    from tunewright.train.loop import descend

    folder = Path(tempfile.mkdtemp())
    own = {"fit.backbone": str(backbone), "fit.epochs": 1, "fit.batch_rows": batch, "fit.threads": threads}
    own |= {"inputs.text": "text", "targets.0.column": "label", "fit.minutes": 60.0}
    own |= {"targets.0.labels": [f"{label:02}" for label in range(77)]}
    Checkpoints.save = lambda *arguments: None  # type: ignore[method-assign, assignment]

    def epoch(rows: Rows) -> None:
        task, _ = read_task(None, own)
        part, few = (
            Part({"text": [t for t, _ in some]}, [f"{label:02}" for _, label in some]) for some in (rows, rows[:8])
        )
        run = Run(folder, folder / "out", 60.0)
        run.work = folder / "none"
        context = prepare(task, task.targets[0], {"train": part, "validation": few, "held_out": few}, "en", run)
        model = Model(context.copy_of_encoder(), context.new_head())
        course = context.course("full", model)
        descend(replace(course, judge=lambda model: (0.0, None), held_out_passes=0.0), model)

    return epoch


def of_trainer(backbone: Path, batch: int, threads: int, *, grouped: bool = True, bf16: bool = False) -> Epoch:
    import torch
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    model = AutoModelForSequenceClassification.from_pretrained(backbone, num_labels=77)
    padding = {"padding": True} if grouped else {"padding": "max_length", "max_length": LONGEST}
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=1,
        per_device_train_batch_size=batch,
        train_sampling_strategy="group_by_length" if grouped else "random",
        bf16=bf16,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )

    def epoch(rows: Rows) -> None:
        ids = tokenizer([text for text, _ in rows], truncation=True, max_length=LONGEST)["input_ids"]
        dataset = [{"input_ids": one, "labels": label} for one, (_, label) in zip(ids, rows, strict=True)]
        Trainer(model, arguments, DataCollatorWithPadding(tokenizer, **padding), train_dataset=dataset).train()

    return epoch


MAKERS: dict[str, Callable[[Path, int, int], Epoch]] = {
    "tunewright": of_tunewright,
    "grouped": of_trainer,
    "grouped16": lambda backbone, batch, threads: of_trainer(backbone, batch, threads, bf16=True),
    "padded": lambda backbone, batch, threads: of_trainer(backbone, batch, threads, grouped=False),
}


if __name__ == "__main__":
    main()
