"""What differential privacy costs in accuracy: the probe, and `private` at several ε, on the same rows and embeddings.

Compared: accuracy on the test rows, and the AUC of membership inference by the loss
    probe          a linear head on frozen embeddings, without a promise
    private 8 …    the same head by DP-SGD at ε = 8, 3, 1 and δ = 1e-5
How: one fit of each per seed from the command of the user; `private` draws its noise anew each time.

    python benchmarks/private.py --backbone minilm-en            the sample rows; expected: 2 minutes
    python benchmarks/private.py --train train.csv --test test.csv --text text --label label
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from _measure import parser, report

EPSILONS = (8.0, 3.0, 1.0)


def main() -> None:
    from tunewright import samples

    options = parser(__doc__)
    options.add_argument("--train", default=str(samples.path("support_train.csv")))
    options.add_argument("--test", default=str(samples.path("support_test.csv")))
    options.add_argument("--text", default="text")
    options.add_argument("--label", default="intent")
    options.add_argument("--backbone", default="auto")
    options.add_argument("--seeds", type=int, default=3)
    chosen = options.parse_args()
    ways: dict[str, dict[str, Any]] = {"probe": {"fit.method": "probe"}}
    for epsilon in () if chosen.quick else EPSILONS:
        ways[f"private {epsilon:g}"] = {"fit.method": "private", "privacy.epsilon": epsilon}
    if chosen.quick:
        chosen.seeds = 1
        ways["private 8"] = {"fit.method": "private", "privacy.epsilon": 8.0}
    found = {name: [once(chosen, way, seed) for seed in range(chosen.seeds)] for name, way in ways.items()}
    rows = [[name, *(of_seeds([one[at] for one in runs]) for at in range(3))] for name, runs in found.items()]
    note = f"mean ± standard deviation of {chosen.seeds} seeds; δ = 1e-5; test rows: {runs_n(found)}"
    report(chosen, ("method", "accuracy", "membership AUC", "ε spent"), rows, note, found)


def once(chosen: Any, way: dict[str, Any], seed: int) -> tuple[float, float, float, int]:
    """Accuracy, AUC of the attack, ε spent, and the test rows, of one fit."""
    import tunewright
    from tunewright.audit import audit
    from tunewright.audit._context import Context, Training
    from tunewright.core.task import read_task
    from tunewright.data.dataset import read
    from tunewright.data.rows import columns_of, rows_of

    with tempfile.TemporaryDirectory() as folder:
        settings = {"fit.backbone": chosen.backbone, "seed": seed, "fit.threads": 1} | way
        one = tunewright.fit(
            chosen.train,
            test=chosen.test,
            text=chosen.text,
            label=chosen.label,
            out=Path(folder) / "b",
            settings=settings,
        )
        task, _ = read_task(None, {f"inputs.{chosen.text}": "text", "targets.0.column": chosen.label})
        learnt, judged = (
            rows_of(read(source, task.data, columns_of(task)), task) for source in (chosen.train, chosen.test)
        )
        (name,) = one.kinds
        truth, known = (one.kind.encode(next(iter(rows.targets.values()))) for rows in (judged, learnt))
        context = Context(
            one.kind, one.logits(judged.inputs)[name], truth, judged.inputs,
            train=Training(learnt.inputs, known), ask=lambda columns: one.logits(columns)[name],
        )  # fmt: skip
        auc = audit(context, only=["membership"])[0].value
        accuracy = float(one.kind.metrics(context.decided, truth)["accuracy"])
        return accuracy, float(auc or 0.0), float(one.manifest.method.get("epsilon", float("inf"))), len(truth)


def of_seeds(values: list[float]) -> str:
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 and values[0] != float("inf") else ""
    return f"{mean(values):.3f}{spread}" if values[0] != float("inf") else "no promise"


def runs_n(found: dict[str, list[tuple[float, float, float, int]]]) -> int:
    return next(iter(found.values()))[0][3]


if __name__ == "__main__":
    main()
