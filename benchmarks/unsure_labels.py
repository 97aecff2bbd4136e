"""What a promised rate is worth for several labels: FinNL, Chinese financial news of 16 topics, mostly two each.

Measured: true labels kept (said or open) and labels said that are true, as means over rows; open labels in a row; rows
answered in full; at 90 and 95 %. One model, which has learnt from 4,000 rows; random halves of the other rows: one half
calibrates and keeps the scores, the other is judged. Beside them what the thresholds alone give, which promise nothing.
How: `lexical`, since it needs no backbone; all options as they stand.
Limits: both shares no lower than the promise, less a point.

    python benchmarks/unsure_labels.py                           expected: 3 minutes
"""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from _measure import data, digest, held, parser, report, settle, short

LEVELS = (0.10, 0.05)
FILE = "fincuge/finnl/train_list.json"
LEARNT = 4000


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--method", default="lexical")
    options.add_argument("--backbone", default="e5-small", help="of a method that needs one")
    options.add_argument("--splits", type=int, default=20)
    options.add_argument("--per-class", action="store_true", help="the rate of labels left out holds for each label")
    chosen = options.parse_args()
    settle()
    rows = read()
    random.Random(0).shuffle(rows)
    learnt, others = rows[:LEARNT], rows[LEARNT:]
    if chosen.quick:
        chosen.splits, learnt, others = 2, rows[:300], rows[300:600]
    found = judged(chosen, learnt, others)
    note = (
        f"{chosen.method}, {len(learnt):,} rows learnt from; mean over {chosen.splits} halves of {len(others):,} rows"
    )
    note += f" (lowest to highest); per_class = {str(chosen.per_class).lower()}; data {short(digest(data(FILE)))}"
    head = ("promise", "kept", "right", "open labels", "answered in full")
    report(chosen, head, [row(name, found) for name in found[0]], note, {"splits": found})


def read() -> list[tuple[str, list[str]]]:
    """Texts with their labels; labels of fewer than 20 rows are slips of the file and are left out."""
    rows = [(text, labels.split()) for text, labels in json.loads(data(FILE).read_text(encoding="utf-8"))]
    counts = Counter(label for _, labels in rows for label in labels)
    return [(text, [label for label in labels if counts[label] >= 20]) for text, labels in rows]


def judged(options: Any, learnt: Sequence[Any], others: Sequence[Any]) -> list[dict[str, Any]]:
    """Of each split, at each rate and by the thresholds alone: shares kept and right, open labels, rows in full."""
    import numpy as np

    from tunewright import pipeline
    from tunewright.audit import Context
    from tunewright.audit.conformal_labels import Kept

    parts = [
        {"text": [text for text, _ in some], "label": [" ".join(labels) for _, labels in some]}
        for some in (learnt, others)
    ]
    named = {"fit.method": options.method, "fit.backbone": options.backbone, "targets.0.separator": " "}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle"
        predictor = pipeline.fit(
            parts[0], out=out, text="text", label="label", kind="multilabel", settings=named | {"split.test": 0}
        )
        logits = predictor.logits(parts[1]["text"])["label"]
    plain = predictor.kind
    truth = plain.encode([label.split() for label in parts[1]["label"]])
    found = []
    for split in range(options.splits):
        order = np.random.default_rng(1000 + split).permutation(len(truth))
        known, asked = order[: len(order) // 2], order[len(order) // 2 :]
        kind = plain.calibrate(logits[known], truth[known])
        kind = kind.promised(logits[known], truth[known], per_class=options.per_class)
        context = Context(kind, logits[asked], truth[asked])
        decided, wanted = context.decided > 0, truth[asked] > 0
        told = {"thresholds": shares(decided, wanted)}
        for error in LEVELS:
            one = Kept.at(context, error)
            told[f"{error:g}"] = {
                "kept": one.kept.mean(),
                "right": one.right.mean(),
                "open": one.open.mean(),
                "whole": (one.open == 0).mean(),
            }
        found.append({name: {of: float(value) for of, value in one.items()} for name, one in told.items()})
    return found


def shares(said: Any, true: Any) -> dict[str, float]:
    """The same of answers that leave nothing open."""
    import numpy as np

    both, having = (said & true).sum(1), true.any(1)
    right = np.where(said.any(1), both / np.maximum(said.sum(1), 1), 1.0)
    return {"kept": (both[having] / true.sum(1)[having]).mean(), "right": right.mean(), "open": 0.0, "whole": 1.0}


def row(name: str, found: Sequence[Mapping[str, Mapping[str, float]]]) -> tuple[str, ...]:
    each = {of: [one[name][of] for one in found] for of in ("kept", "right", "open", "whole")}
    kept, right = (share(name, each[of]) for of in ("kept", "right"))
    promise = "none: thresholds" if name == "thresholds" else f"{1 - float(name):.0%}"
    return (promise, kept, right, f"{fmean(each['open']):.2f}", f"{fmean(each['whole']):.1%}")


def share(name: str, values: Sequence[float]) -> str:
    told = f"{fmean(values):.2%} ({min(values):.1%}–{max(values):.1%})"
    if name == "thresholds":
        return told
    return f"{told} ({held(round(100 * fmean(values), 2), f'≥ {100 * (1 - float(name)) - 1:g}')})"


if __name__ == "__main__":
    main()
