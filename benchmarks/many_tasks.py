"""Many tasks on one backbone: memory and latency of one bundle and of a hundred in one process; equality of answers.

Compared: `Predictor.load` of one bundle, and of so many with one shelf, each in a process of its own.
How: --fits bundles are fitted as probes on drawn small sets of Banking77 (4 intents, 16 rows of each); the others have
the head of one of them with weights drawn anew, which costs no fit and computes the same. Every bundle is a folder
with all its files. Memory is the resident set after loading and answering, p50 that of single texts, bundles in turn,
rows per CPU second those of one call of the first bundle with all texts; rounds of both processes are interleaved, each
answering the same texts. Then 20 bundles are loaded alone, and their labels and scores of 20 texts must be those that
each gave among the others, and as one of ten that share a pass.

With --method top (or others that leave a part of the backbone as it was) every bundle is fitted, once with
`fit.shared` and once without (40 intents, 16 rows of each), and a third process loads those that have an encoder of
their own each. With --method lora or adalora, whose updates stay beside the shared backbone, --fits are fitted so; the
others have updates and head of one of them drawn anew, each number with the mean and the spread of its tensor.

    python benchmarks/many_tasks.py --folder tasks/       expected: 2 minutes, and 1 more for each of the fits
    python benchmarks/many_tasks.py --folder tops/ --method top --tasks 6       expected: 10 minutes
    python benchmarks/many_tasks.py --folder loras/ --method lora --fits 2      expected: 8 minutes
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from _measure import Worker, answer, data, digest, held, parser, records, report, settle, short, spread

TASKS, FITS, CLASSES, ROWS = 100, 4, 4, 16
TUNED_CLASSES, TUNED_ROWS, TUNED_BATCH = 40, 16, 16
"""Of bundles whose encoder is tuned: of fewer intents, or by fewer steps, some do not beat the probe, and it ships."""
SHARED, WHOLE, DRAWN = "task", "whole", "drawn"
"""What the folders of bundles are called that share a part of their encoder, of those that have their own, and of those
on the shared encoder whose small tensors are drawn anew."""
BESIDE = ("lora", "adalora")
"""Methods whose bundles differ by small tensors alone."""
TEXTS, COMPARED, TOGETHER, GROUPS = 300, 20, 10, 2
TOLERANCE = 1e-5


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, help="where the bundles are made, and found again")
    options.add_argument("--tasks", type=int, default=TASKS)
    options.add_argument(
        "--fits", type=int, default=FITS, help="bundles that are really fitted; of top and the like all"
    )
    options.add_argument("--method", default="probe", help="of the fits; all but probe are fitted in two forms")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--worker", nargs="+", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.worker:
        threads, *folders = chosen.worker
        return answer(asked([Path(folder) for folder in folders], int(threads)))
    if not chosen.folder:
        options.error("--folder is needed")
    if chosen.quick:
        chosen.tasks, chosen.fits, chosen.rounds = 4, 1, 2
    fitted = make(chosen.folder, chosen.tasks, chosen.fits, chosen.method)
    rows = data("banking77/test.csv")
    texts = [record["text"] for record in records(rows)][: 30 if chosen.quick else TEXTS]
    draws = range(chosen.tasks) if chosen.method == "probe" else in_two_parts(chosen.folder)[:fitted]
    drawn = range(chosen.tasks - fitted if chosen.method in BESIDE else 0)
    shared = [name_of(at) for at in draws] + [name_of(at, DRAWN) for at in drawn]
    forms = {"one": shared[:1], "many": shared}
    forms |= {} if chosen.method == "probe" else {"whole": [name_of(at, WHOLE) for at in draws]}
    sides = {
        name: Worker(__file__, str(chosen.threads), *(chosen.folder / one for one in names))
        for name, names in forms.items()
    }
    try:
        rounds = [{name: side.ask({"texts": texts}) for name, side in sides.items()} for _ in range(chosen.rounds)]
        compared = sides["many"].ask({"compare": texts[:COMPARED]})
    finally:
        for side in sides.values():
            side.stop()
    one, many, *whole = ([each[name] for each in rounds] for name in sides)
    head = (
        "tasks",
        "RSS MB",
        "p50 ms",
        "p99 ms",
        "rows/CPU s",
        "load s",
        "encoders",
        "MB on disk",
        "× one task",
        "target",
    )
    memory, slower = ratios(one, many)
    told = against(one, many)
    all_shared = chosen.method in ("probe", *BESIDE)
    target = f"RSS {held(memory, '≤ 1.5')}, p50 {held(median(slower), '≤ 1.3')}" if all_shared else ""
    lines = [line("1", one, "", ""), line(str(chosen.tasks), many, told, target)]
    lines += [line(f"{len(draws)}, each whole", own, against(one, own), "") for own in whole]
    alike = f"{compared['labels']} labels differ, scores by {compared['score']:.1e} at most"
    together = f"{compared['together']} labels differ, scores by {compared['apart']:.1e} at most"
    note = (
        f"n = {len(rounds)} rounds of {len(texts)} texts (test.csv {short(digest(rows))}), {chosen.threads} threads; "
        f"medians, smallest–largest; {fitted} of {chosen.tasks} bundles fitted by "
        f"{chosen.method}, {many[0]['in_two']} with an encoder in two parts. "
        f"Alone and among the others: {compared['rows']:,} answers, {alike}; "
        f"{min(TOGETHER, chosen.tasks)} bundles in one pass: {together}"
    )
    report(chosen, head, lines, note, {"rounds": [{str(k): v for k, v in one.items()} for one in rounds], **compared})
    if compared["labels"] or compared["together"] or max(compared["score"], compared["apart"]) > TOLERANCE:
        raise SystemExit("the answers are not those of each bundle alone")
    return None


def ratios(one: list[dict[str, Any]], many: list[dict[str, Any]]) -> tuple[float, list[float]]:
    """Memory of many over that of one, and the same of the time of a text, round by round."""
    slower = [b["p50_ms"] / a["p50_ms"] for a, b in zip(one, many, strict=True)]
    return many[-1]["rss_mb"] / one[-1]["rss_mb"], slower


def against(one: list[dict[str, Any]], many: list[dict[str, Any]]) -> str:
    memory, slower = ratios(one, many)
    return f"RSS {memory:.2f}, p50 {median(slower):.2f} ({spread(slower)})"


def line(name: str, rounds: list[dict[str, Any]], told: str, target: str) -> tuple[str, ...]:
    p50, p99, rate = ([one[key] for one in rounds] for key in ("p50_ms", "p99_ms", "rows_per_cpu_s"))
    cells = f"{median(p50):.2f} ({spread(p50)})", f"{median(p99):.2f} ({spread(p99)})", f"{median(rate):.0f}"
    return (
        name,
        f"{rounds[-1]['rss_mb']:.0f}",
        *cells,
        f"{rounds[0]['load_s']:.1f}",
        str(rounds[0]["encoders"]),
        f"{rounds[0]['disk_mb']:.0f}",
        told,
        target,
    )


# --- the bundles ---


def make(folder: Path, tasks: int, fits: int, method: str) -> int:
    """Bundles that are not there yet, in a process that does not measure; returns how many are fitted."""
    folder.mkdir(parents=True, exist_ok=True)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import many_tasks; "
    code += f"many_tasks.fit_all({str(folder)!r}, {tasks}, {fits}, {method!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    if method != "probe":
        return min(tasks, fits) if method in BESIDE else tasks
    marked = [json.loads((folder / name_of(at) / "bundle.json").read_text())["run"] for at in range(tasks)]
    return sum("drawn_from" not in one for one in marked)


def in_two_parts(folder: Path) -> list[int]:
    """The draws whose training beat its start, so that there is something to share in part; the others are left out."""
    found = sorted(int(path.parent.name[-3:]) for path in folder.glob(f"{SHARED}-*/upper.*.onnx"))
    return [at for at in found if (folder / name_of(at, WHOLE)).exists()]


def name_of(at: int, form: str = SHARED) -> str:
    return f"{form}-{at:03d}"


def fit_all(folder: str, tasks: int, fits: int, method: str) -> None:
    settle()
    from tunewright import pipeline

    by_label: dict[str, list[str]] = {}
    for record in records(data("banking77/train.csv")):
        by_label.setdefault(record["category"], []).append(record["text"])
    if method != "probe":
        fit_tuned(Path(folder), min(tasks, fits) if method in BESIDE else tasks, method, by_label)
        fitted = in_two_parts(Path(folder))[:fits]
        for at in range(tasks - fits if method in BESIDE else 0):
            if not (Path(folder) / name_of(at, DRAWN)).exists():
                redraw(Path(folder) / name_of(fitted[at % fits]), Path(folder) / name_of(at, DRAWN), at)
        return
    for at in range(tasks):
        out = Path(folder) / name_of(at)
        if at >= fits and not out.exists():
            redraw(Path(folder) / name_of(at % fits), out, at)
        elif not out.exists():
            table = drawn(by_label, at, CLASSES, ROWS)
            settings = {"fit.method": "probe", "fit.backbone": "minilm-en"}
            pipeline.fit(table, out=out, text="text", label="category", settings=settings)


def fit_tuned(folder: Path, tasks: int, method: str, by_label: dict[str, list[str]]) -> None:
    """Bundles in both forms, draw after draw, until so many have something to share in part."""
    from tunewright import pipeline

    for at in itertools.count():
        if len(in_two_parts(folder)) >= tasks:
            return
        for form in (SHARED, WHOLE):
            if not (folder / name_of(at, form)).exists():
                table = drawn(by_label, at, TUNED_CLASSES, TUNED_ROWS)
                settings: dict[str, Any] = {"fit.method": method, "fit.backbone": "minilm-en"}
                settings |= {"fit.shared": form == SHARED, "fit.batch_rows": TUNED_BATCH}
                pipeline.fit(table, out=folder / name_of(at, form), text="text", label="category", settings=settings)


def drawn(by_label: dict[str, list[str]], seed: int, classes: int, rows: int) -> dict[str, list[str]]:
    """So many rows of so many intents."""
    draw = random.Random(seed)
    picked = draw.sample(sorted(name for name, texts in by_label.items() if len(texts) >= rows), classes)
    taken = [(text, name) for name in picked for text in draw.sample(by_label[name], rows)]
    return {"text": [text for text, _ in taken], "category": [name for _, name in taken]}


def redraw(source: Path, out: Path, seed: int) -> None:
    """The bundle with head and updates drawn anew; big files are the same on disk, under a name of their own."""
    from dataclasses import replace

    import numpy as np
    from safetensors.numpy import load_file, save_file

    from tunewright.core.bundle import read_manifest, write_manifest
    from tunewright.runtime import updates

    manifest, draw = read_manifest(source), np.random.default_rng(seed)
    (data_file,) = next(part.data for name, part in manifest.parts.items() if name.startswith("head."))
    shutil.copytree(source, out, copy_function=os.link)
    (out / "bundle.json").unlink()  # linked: what is written must be a new file
    own = [(data_file, load_file, save_file)]
    own += [(part.updates, updates.read, updates.write) for part in manifest.parts.values() if part.updates]
    for path, read, write in own:
        tensors = read(out / path)
        (out / path).unlink()
        drawn = {
            name: draw.normal(value.mean(), value.std(), value.shape).astype(value.dtype)
            for name, value in tensors.items()
        }
        write(drawn, out / path)
    write_manifest(out, replace(manifest, name=out.name, run=manifest.run | {"drawn_from": source.name}))


# --- what is measured, in a process of its own ---


def asked(folders: list[Path], threads: int) -> Callable[[Any], dict[str, Any]]:
    from tunewright.runtime.predictor import Predictor
    from tunewright.runtime.shelf import Shelf

    started, shelf = time.perf_counter(), Shelf()
    loaded = [Predictor.load(folder, threads, shelf) for folder in folders]
    load_s = time.perf_counter() - started
    disk_mb = sum(one.manifest.size_bytes for one in loaded) / 1e6

    def ask(question: Any) -> dict[str, Any]:
        if "compare" in question:
            return compare(loaded, question["compare"], threads)
        taken = []
        for at, text in enumerate(question["texts"]):
            begin = time.perf_counter()
            loaded[at % len(loaded)].predict([text])
            taken.append(time.perf_counter() - begin)
        taken.sort()
        begin = time.process_time()
        loaded[0].predict(question["texts"])
        cpu_s = time.process_time() - begin
        return {
            "rows_per_cpu_s": len(question["texts"]) / cpu_s,
            "p50_ms": taken[len(taken) // 2] * 1000,
            "p99_ms": taken[int(len(taken) * 0.99)] * 1000,
            "rss_mb": rss_mb(),
            "load_s": load_s,
            "encoders": len(shelf.encoders),
            "disk_mb": disk_mb,
            "in_two": sum(len(one.manifest.encoder) > 1 for one in loaded),
        }

    return ask


def compare(loaded: list[Any], texts: list[str], threads: int) -> dict[str, Any]:
    """Every bundle against itself, loaded alone; and in a pass that several share."""
    from tunewright.runtime.predictor import Predictor
    from tunewright.runtime.together import Pass, Question

    out = {"rows": 0, "labels": 0, "score": 0.0, "together": 0, "apart": 0.0}
    assert len({id(one.encoder) for one in loaded}) == 1
    groups = [loaded[first : first + TOGETHER] for first in range(0, len(loaded), TOGETHER)]
    for group in groups[:: max(1, len(groups) // GROUPS)][:GROUPS]:  # each bundle alone reads 90 MB
        shared = Pass([Question(one, [texts]) for one in group]).answers()
        for one, together in zip(group, shared, strict=True):
            alone = Predictor.load(one.folder, threads)
            own = [alone.predict([text])[0] for text in texts]
            among = [one.predict([text])[0] for text in texts]
            (pass_,) = together.values()
            out["rows"] += len(texts)
            for wrong, apart, found in (("labels", "score", among), ("together", "apart", pass_)):
                out[wrong] += sum(a.label != b.label for a, b in zip(own, found, strict=True))
                out[apart] = max(out[apart], *(abs(a.score - b.score) for a, b in zip(own, found, strict=True)))
    return out


def rss_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # macOS: the most that it ever was
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    main()
