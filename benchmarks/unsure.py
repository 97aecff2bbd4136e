"""What "I don't know" is worth on Banking77: coverage of promised sets, and strange questions told from known ones.

Compared: (i) split conformal sets at 90 and 95 %, over random halves of the rows that the model did not learn from: one
half calibrates and keeps the scores, the other is judged. (ii) 20 intents held out as unknown, five draws: each
detector, fitted on the known training rows, on known and unknown test rows.
How: the probe on frozen embeddings, which are computed once; with another method each draw is a fit of its own, whose
bundle gives logits and vectors.
Limits: coverage within 1 point of the promise, sets of 1.3 labels at most; AUROC 0.95, 80 % found at 5 % turned away.

    python benchmarks/unsure.py                                  expected: 10 minutes
    python benchmarks/unsure.py --method full --minutes 10       expected: 70 minutes
    python benchmarks/unsure.py --method top --margin 0.2 --only strange      expected: 15 minutes
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from _measure import held, parser, report, settle
from _sets import SETS, Rows, drawn

LEVELS = (0.10, 0.05)
UNKNOWN = 20
STRENGTH = 30.0
FIRST = 100
"""Seed of the first draw: the detectors were designed by looking at draws 0 to 2, which are left out."""


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--method", choices=("probe", "contrastive", "top", "full"), default="probe")
    options.add_argument("--minutes", type=float, default=10.0, help="time for one fit that is no probe")
    options.add_argument("--margin", type=float, default=0.0, help="objectives.margin of a fit that is no probe")
    options.add_argument("--only", choices=("conformal", "strange"), help="one of the two parts")
    options.add_argument("--splits", type=int, default=20)
    options.add_argument("--draws", type=int, nargs="+", default=list(range(5)), help="which draws of unknown intents")
    options.add_argument("--embeddings", type=Path, metavar="FILE", help="npz: kept there, and read if it is there")
    chosen = options.parse_args()
    settle()
    if chosen.quick:
        chosen.splits, chosen.draws = 3, [0]
    with tempfile.TemporaryDirectory() as folder:
        found = Probe(chosen) if chosen.method == "probe" else Tuned(chosen, Path(folder))
        sets = conformal(found, chosen) if chosen.only != "strange" else []
        apart = strange(found, chosen) if chosen.only != "conformal" else []
    rows = [of_level(error, sets) for error in LEVELS if sets]
    note = f"{chosen.method} on minilm-en" + (f", objectives.margin = {chosen.margin:g}" if chosen.margin else "")
    if sets:
        note += f"; mean over {chosen.splits} splits of {sets[0]['rows']:,} held-out rows (lowest to highest)"
    if apart:
        rows += [of_detector(name, apart) for name in apart[0]["detectors"]]
        note += (
            f"; mean over {len(apart)} draws of {UNKNOWN} unknown intents; auto chose "
            f"{', '.join(one['auto'] for one in apart)}; accuracy on known rows "
            f"{fmean(one['accuracy'] for one in apart):.4f}"
        )
    note += f"; data {SETS['banking77'].digest}"
    head = ("what", "first", "second", "third")
    report(chosen, head, rows, note, {"conformal": sets, "out_of_scope": apart})


class Probe:
    """Frozen embeddings of all rows, computed once; heads in closed form on some of them."""

    def __init__(self, options: Any) -> None:
        import numpy as np

        parts = rows_of(options)
        self.labels = sorted({label for _, label in parts[0]})
        position = {label: at for at, label in enumerate(self.labels)}
        self.truths = [np.array([position[label] for _, label in part]) for part in parts]
        kept = options.embeddings
        if kept is not None and kept.exists():
            stored = np.load(kept)
            self.vectors = [stored["train"], stored["test"]]
        else:
            self.vectors = [embedded(part) for part in parts]
            if kept is not None:
                np.savez(kept, train=self.vectors[0], test=self.vectors[1])

    def fitted(self, draw: int, classes: Any) -> dict[str, Any]:
        """Logits and vectors of validation and test rows, from a head on nine tenths of the training rows."""
        import numpy as np

        rows = np.flatnonzero(np.isin(self.truths[0], classes))
        rows = np.random.default_rng(draw).permutation(rows)
        cut = len(rows) // 10
        place = np.full(len(self.labels), -1)
        place[classes] = np.arange(len(classes))
        train, validation = (
            (self.vectors[0][some], place[self.truths[0][some]]) for some in (np.sort(rows[cut:]), np.sort(rows[:cut]))
        )
        logits = head(train[0], train[1], (validation[0], self.vectors[1]))
        return {
            "train": train,
            "validation": (*validation, logits[0]),
            "test": (self.vectors[1], place[self.truths[1]], logits[1]),
        }


class Tuned:
    """A fit for each draw; logits and vectors come from its bundle."""

    def __init__(self, options: Any, folder: Path) -> None:
        import numpy as np

        self.parts = rows_of(options)
        self.labels = sorted({label for _, label in self.parts[0]})
        position = {label: at for at, label in enumerate(self.labels)}
        self.truths = [np.array([position[label] for _, label in part]) for part in self.parts]
        self.options, self.folder = options, folder

    def fitted(self, draw: int, classes: Any) -> dict[str, Any]:
        """As ``Probe.fitted``, after training on nine tenths of the rows."""
        import numpy as np

        from tunewright import pipeline

        rows = np.random.default_rng(draw).permutation(np.flatnonzero(np.isin(self.truths[0], classes)))
        cut = len(rows) // 10
        chosen = [sorted(some.tolist()) for some in (rows[cut:], rows[:cut])]
        named = {"fit.method": self.options.method, "fit.backbone": "minilm-en", "seed": draw}
        named |= {"fit.minutes": self.options.minutes, "objectives.margin": self.options.margin}
        files = [columns([self.parts[0][at] for at in some]) for some in chosen]
        out = self.folder / f"bundle-{draw}-{len(classes)}"
        predictor = pipeline.fit(files[0], test=files[1], out=out, text="text", label="label", settings=named)
        place = np.full(len(self.labels), -1)
        place[classes] = np.arange(len(classes))
        truths = [place[self.truths[0][some]] for some in chosen] + [place[self.truths[1]]]
        texts = [*(file["text"] for file in files), [text for text, _ in self.parts[1]]]
        seen = [predictor.seen(some) for some in texts]
        found = [(vectors, truth, logits["label"]) for (logits, vectors), truth in zip(seen, truths, strict=True)]
        return {"train": found[0][:2], "validation": found[1], "test": found[2]}


def embedded(rows: Rows) -> Any:
    """float32 (n, d), of length 1, by the frozen backbone."""
    import torch

    from tunewright.backbones._load import load
    from tunewright.core.sections import Fit
    from tunewright.heads._pooled import Embed
    from tunewright.train.outputs import frozen, of_rows

    backbone, _ = load("minilm-en", Fit())
    windows = backbone.modality.windows([[text for text, _ in rows]])
    vectors = frozen(backbone.encoder, Embed(backbone.pooling), backbone.modality, windows, torch.device("cpu"))
    return of_rows(vectors, windows)


def head(vectors: Any, truth: Any, asked: Any) -> list[Any]:
    """Logits of each of ``asked``, by the closed form of the probe."""
    from tunewright.methods.probe import SOLVERS, linear

    weights = SOLVERS["logistic"](vectors, truth, int(truth.max()) + 1, STRENGTH)
    return [linear(some, weights) for some in asked]


def conformal(found: Probe | Tuned, options: Any) -> list[dict[str, Any]]:
    """Coverage, mean set size and share of single answers at each level, for each random half of the held-out rows."""
    import numpy as np

    from tunewright.kinds.classify import Classify

    once = found.fitted(0, np.arange(len(found.labels)))
    logits, truth = (np.concatenate([once[part][at] for part in ("validation", "test")]) for at in (2, 1))
    out = []
    for split in range(options.splits):
        rows = np.random.default_rng(1000 + split).permutation(len(truth))
        known, judged = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        kind = Classify(tuple(found.labels)).calibrate(logits[known], truth[known])
        kind = kind.promised(logits[known], truth[known])
        assert kind.promise is not None
        told: dict[str, Any] = {"rows": len(truth), "scaled": bool(kind.factors)}
        for error in LEVELS:
            sets = kind.promise.at(error).sets(kind.proba(logits[judged]))
            inside, sizes = sets[np.arange(len(judged)), truth[judged]], sets.sum(1)
            wrong = (sizes == 1) & ~inside
            figures = {"covered": inside, "size": sizes, "single": sizes == 1, "single_wrong": wrong}
            told[f"{error:g}"] = {name: float(values.mean()) for name, values in figures.items()}
        out.append(told)
        print(told, file=sys.stderr, flush=True)
    return out


def strange(found: Probe | Tuned, options: Any) -> list[dict[str, Any]]:
    """For each draw of unknown intents, what each detector is worth, and which one ``auto`` takes."""
    import numpy as np

    from tunewright.audit.out_of_scope import MEASURES
    from tunewright.kinds.classify import Classify
    from tunewright.runtime.scope import DETECTORS, strangeness
    from tunewright.train.detector import Seen, best_detector, kept

    out = []
    for draw in options.draws:
        unknown = np.random.default_rng(FIRST + draw).choice(len(found.labels), UNKNOWN, replace=False)
        once = found.fitted(draw, np.setdiff1d(np.arange(len(found.labels)), unknown))
        train, (vectors, truth, logits) = Seen(*once["train"]), once["validation"]
        kind = Classify(tuple(map(str, range(logits.shape[1])))).calibrate(logits, truth)
        chosen, areas = best_detector(DETECTORS, train, Seen(vectors, truth), draw)
        asked, wanted, answers = once["test"]
        known, told = wanted >= 0, {}
        for name in DETECTORS:
            arrays = kept(name, train, kind, logits, vectors, draw)
            limit = np.quantile(strangeness(name, kind, logits, vectors, arrays), 0.95)
            scores = strangeness(name, kind, answers, asked, arrays)
            told[name] = {of: measure(scores[known], scores[~known]) for of, measure in MEASURES.items()}
            told[name] |= {"rejected": float((scores[known] > limit).mean())}
        accuracy = float((kind.decide(answers[known]) == wanted[known]).mean())
        out.append({"draw": draw, "auto": chosen, "areas": areas, "accuracy": accuracy, "detectors": told})
        print(out[-1], file=sys.stderr, flush=True)
    return out


def rows_of(options: Any) -> list[Rows]:
    """Training and test rows."""
    parts = SETS["banking77"].parts()
    return [drawn(part, 1500, 0) for part in parts] if options.quick else list(parts)


def columns(rows: Rows) -> dict[str, list[str]]:
    return {"text": [text for text, _ in rows], "label": [label for _, label in rows]}


def of_level(error: float, sets: list[dict[str, Any]]) -> tuple[str, ...]:
    each = {name: [one[f"{error:g}"][name] for one in sets] for name in sets[0][f"{error:g}"]}
    covered, size = fmean(each["covered"]), fmean(each["size"])
    off = 100 * abs(covered - (1 - error))
    spread = f"{100 * min(each['covered']):.1f}–{100 * max(each['covered']):.1f}"
    return (
        f"sets at {100 * (1 - error):.0f} %",
        f"covered {100 * covered:.2f} % ({spread}); off by {off:.2f} {held(off, '≤ 1')}",
        f"labels in a set {size:.3f} {held(size, '≤ 1.3')}",
        f"single {100 * fmean(each['single']):.1f} %, single and wrong {100 * fmean(each['single_wrong']):.1f} %",
    )


def of_detector(name: str, apart: list[dict[str, Any]]) -> tuple[str, ...]:
    each: Mapping[str, list[float]] = dict(collected(name, apart))
    area, recall, used = fmean(each["auroc"]), fmean(each["recall_at_5"]), 100 * fmean(each["rejected"])
    return (
        name,
        f"AUROC {area:.4f} {held(area, '≥ 0.95')}",
        f"FPR@95 {fmean(each['fpr_at_95']):.4f}",
        f"found at 5 % {100 * recall:.1f} % {held(100 * recall, '≥ 80')}; known rejected {used:.1f} %",
    )


def collected(name: str, apart: list[dict[str, Any]]) -> Iterator[tuple[str, list[float]]]:
    for of in apart[0]["detectors"][name]:
        yield of, [one["detectors"][name][of] for one in apart]


if __name__ == "__main__":
    main()
