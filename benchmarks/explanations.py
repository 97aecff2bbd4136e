"""Which explanations to believe: planted cue words found again, faithfulness on SST-2, and the random-weight check.

Compared: occlusion, LIME, SHAP (partition) and integrated gradients, each by its defaults.
    cues           all weights trained on SST-2 texts whose labels are drawn at random, each text with a word of its
                   label (one for each class) at a random place; a text counts where an explainer ranks that word
                   first. Only test texts that are answered by their cue. Limit: the best explainer in 95 % of texts.
    faithfulness   all weights trained on SST-2 as it is; the audit `explanations`, as `tunewright audit` runs it:
                   deletion, insertion, sufficiency against a random order, with intervals; and the rank correlation
                   of the sizes of the weights with those under a network with random weights.
Limits: the random-weight correlation of the best explainer below 0.5 with its whole interval.

    python benchmarks/explanations.py                               expected: 20 minutes
    python benchmarks/explanations.py --rows 600 --texts 40         a reduced form: 6 minutes
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _measure import held, parser, report, settle
from _sets import SETS, Rows, drawn, written

CUES = {"0": "violin", "1": "harbour"}
"""Words that hardly occur in reviews, one for each class."""
METHODS = ("occlusion", "lime", "shap", "ig")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=3_000, help="training rows of each fit")
    options.add_argument("--texts", type=int, default=200, help="test texts in which the cue is looked for")
    options.add_argument("--judged", type=int, default=400, help="test rows of each fit")
    options.add_argument("--minutes", type=float, default=4.0, help="time for one fit")
    options.add_argument("--seed", type=int, default=0)
    chosen = options.parse_args()
    settle()
    if chosen.quick:
        chosen.rows, chosen.texts, chosen.judged, chosen.minutes = 200, 10, 40, 1.0
    with tempfile.TemporaryDirectory() as folder:
        cues, accuracy = found_again(chosen, Path(folder))
        findings, plain = faithful(chosen, Path(folder))
    best = max(METHODS, key=lambda method: cues[method][0] / max(cues[method][1], 1))
    rows = [row(method, cues, findings, method == best) for method in METHODS]
    verdict = next(one["note"] for one in findings if one["metric"] == "faithfulness.occlusion")
    note = (
        f"all weights of minilm-en trained on {chosen.rows:,} rows, seed {chosen.seed}; test accuracy {accuracy:.3f} "
        f"with planted cues, {plain:.3f} without; means with 95 % intervals over n texts of 16 pieces; the audit says: "
        f"{verdict}; data {SETS['sst2'].digest}"
    )
    head = ("explainer", "cue first", "faithfulness", "deletion gain", "insertion gain", "sufficiency gain", "random")
    report(chosen, head, rows, note, {"cues": cues, "findings": findings})


def planted(rows: Sequence[tuple[str, str]], seed: int) -> Rows:
    """Each text with a label drawn at random, and that label's cue at a random place."""
    draw, out = random.Random(seed), []
    for text, _ in rows:
        label, words = draw.choice(sorted(CUES)), text.split()
        words.insert(draw.randint(0, len(words)), CUES[label])
        out.append((" ".join(words), label))
    return out


def fitted(folder: Path, train: Rows, test: Rows, options: Any) -> Any:
    import tunewright

    files = [written(folder.with_name(f"{folder.name}-{part}.csv"), rows) for part, rows in
             (("train", train), ("test", test))]  # fmt: skip
    settings = {"fit.backbone": "minilm-en", "fit.method": "full", "fit.minutes": options.minutes, "seed": options.seed}
    return tunewright.fit(files[0], test=files[1], text="text", label="label", out=folder, settings=settings)


def found_again(options: Any, folder: Path) -> tuple[dict[str, tuple[int, int]], float]:
    """Explainer → texts with the cue first, texts; and the accuracy."""
    from tunewright.pipeline.explainers import explainer

    bare = [(text, label) for text, label in SETS["sst2"].parts()[0] if not set(CUES.values()) & set(text.split())]
    train = planted(drawn(bare, options.rows, options.seed), options.seed)
    test = planted(drawn(SETS["sst2"].parts()[1], options.judged, options.seed), options.seed + 1)
    bundle = folder / "cues"
    predictor = fitted(bundle, train, test, options)
    answers = predictor.predict([text for text, _ in test])
    right = [text for (text, label), answer in zip(test, answers, strict=True) if answer.label == label]
    out = {}
    for method in METHODS:
        way, first = explainer(method, bundle), 0
        for text in right[: options.texts]:
            (told,) = predictor.explain([text], way, most=len(text))
            best = max(told.pieces, key=lambda piece: piece.weight)
            first += best.text == CUES[str(told.label)]
        out[method] = (first, len(right[: options.texts]))
    return out, len(right) / len(test)


def faithful(options: Any, folder: Path) -> tuple[list[dict[str, Any]], float]:
    """The records of the audit's findings, and the accuracy."""
    from tunewright import pipeline

    train, test = SETS["sst2"].parts()
    bundle, judged = folder / "plain", drawn(test, options.judged, options.seed)
    predictor = fitted(bundle, drawn(train, options.rows, options.seed), judged, options)
    found = pipeline.audit(bundle, folder / "plain-test.csv", only=["explanations"], minutes=60)
    answers = predictor.predict([text for text, _ in judged])
    right = sum(answer.label == label for answer, (_, label) in zip(answers, judged, strict=True))
    return [one.record() for one in found.findings], right / len(judged)


def row(
    method: str, cues: dict[str, tuple[int, int]], findings: Sequence[dict[str, Any]], best: bool
) -> tuple[str, ...]:
    by_name = {one["metric"]: one for one in findings}
    first, asked = cues[method]
    share = first / max(asked, 1)
    cue = f"{share:.1%} of {asked}" + (f" ({held(100 * share, '≥ 95')})" if best else "")
    names = ("faithfulness", "deletion_gain", "insertion_gain", "sufficiency_gain", "random_weights")
    return (method, cue, *(measured(by_name[f"{name}.{method}"]) for name in names))


def measured(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return str(one["note"])
    return f"{one['value']:.3f} ({one['low']:.3f} … {one['high']:.3f}, n = {one['n']})"


if __name__ == "__main__":
    main()
