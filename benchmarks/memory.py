"""Memory of `tunewright predict`: does it stay flat while the file grows?

Compared: peak RSS of the command, csv in and csv out, at 10,000 and at 1,000,000 rows with a static test encoder (a
table of word vectors costs next to nothing, so what grows is the reading, the answering or the writing); target:
difference of the medians ≤ 150 MB. Beside it one run of 200,000 rows with a real bundle: rows per second, peak RSS.
How: Banking77's training rows, repeated and numbered; each run is a process of its own, measured from outside (wait4),
load included. The answers are read back: every number once, in order, with a label, or the benchmark fails.

    python benchmarks/memory.py --bundle intents/            expected: 10 minutes
"""

from __future__ import annotations

import csv
import itertools
import json
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from _measure import (
    ROOT,
    data,
    digest,
    held,
    of_bundle,
    parser,
    python,
    records,
    report,
    short,
    show,
    spread,
    tunewright,
)

STATIC = """
import csv, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from static_bundle import static_bundle
rows = list(csv.DictReader(open(sys.argv[2], encoding="utf-8", newline="")))
static_bundle(Path(sys.argv[3]), [row["text"] for row in rows], [row["category"] for row in rows], width=32)
"""
SOURCE = "banking77/train.csv"
TARGET_MB = "≤ 150"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--bundle", type=Path, required=True, help="a real bundle, for the run of 200,000 rows")
    options.add_argument("--repeat", type=int, default=3, help="runs of the static encoder at each size")
    chosen = options.parse_args()
    small, large, real = (200, 2_000, 200) if chosen.quick else (10_000, 1_000_000, 200_000)
    if chosen.quick:
        chosen.repeat = 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        static = folder / "static"
        python(STATIC, ROOT / "tests" / "runtime", data(SOURCE), static)
        runs: dict[int, list[dict[str, Any]]] = {small: [], large: []}
        for _, rows in itertools.product(range(chosen.repeat), runs):
            runs[rows].append(predict(static, rows, folder))
        with_real = predict(chosen.bundle, real, folder)
    grown = difference_mb(runs[small], runs[large])
    table = [row("static", rows, of_size) for rows, of_size in runs.items()]
    table += [("static", "difference", "", "", f"{grown:+.0f}", held(grown, TARGET_MB))]
    table += [row(chosen.bundle.name, real, [with_real])]
    note = (
        f"n = {chosen.repeat} runs of each static size (medians, smallest–largest), 1 of {chosen.bundle.name}; "
        f"rows of train.csv ({short(digest(data(SOURCE)))}), repeated; {of_bundle(show(chosen.bundle))}"
    )
    head = ("bundle", "rows", "wall s", "rows/s", "peak RSS MB", "target")
    report(chosen, head, table, note, {"static": runs, "real": with_real, "difference_mb": grown})


def predict(bundle: Path, rows: int, folder: Path) -> dict[str, Any]:
    """One run of the command over so many rows, its answers checked."""
    (column,) = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["inputs"]
    given, answers = folder / "rows.csv", folder / "answers.csv"
    texts = [record["text"] for record in records(data(SOURCE))]
    with given.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("number", column))
        writer.writerows(enumerate(itertools.islice(itertools.cycle(texts), rows)))
    done = tunewright("predict", bundle, given, "--out", answers, "--force")
    complete(answers, rows)
    return {"rows": rows, "size_bytes": given.stat().st_size, **done.figures}


def complete(answers: Path, rows: int) -> None:
    """Fail unless the file answers rows 0 … n-1, in order, each with a label."""
    with answers.open(encoding="utf-8", newline="") as file:
        count = 0
        for row in csv.DictReader(file):
            if int(row["number"]) != count or not row["prediction"]:
                raise SystemExit(f"row {count}: {row}")
            count += 1
    if count != rows:
        raise SystemExit(f"{count} of {rows} rows are answered")


def difference_mb(small: list[dict[str, Any]], large: list[dict[str, Any]]) -> float:
    low, high = (median(run["peak_rss_bytes"] for run in runs) for runs in (small, large))
    return float(high - low) / 1e6


def row(bundle: str, rows: int, runs: list[dict[str, Any]]) -> tuple[str, ...]:
    wall_s = median(run["wall_s"] for run in runs)
    peaks = [run["peak_rss_bytes"] / 1e6 for run in runs]
    memory = f"{median(peaks):.0f} ({spread(peaks, 0)})"
    return (bundle, f"{rows:,}", f"{wall_s:.1f}", f"{rows / wall_s:,.0f}", memory, "")


if __name__ == "__main__":
    main()
