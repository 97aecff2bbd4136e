"""A small predictor that is real (naive Bayes over words and the kinds of the house) but needs no bundle.

Run as a program it serves itself at a free port, or at the socket that it is handed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewright.core.bundle import Manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Array, Kind
from tunewright.kinds.classify import Classify

TOPICS = {
    "card lost": "i lost my card yesterday; someone stole the card; my card is gone",
    "refund": "please give my money back; when does the refund arrive; i want a refund",
    "transfer": "the transfer did not arrive; how long does a transfer take; send money abroad",
    "退款": "我 要 退 款; 请 把 钱 退 给 我; 退 款 什 么 时 候 到",
}
MOODS = {"calm": "please how long when does", "angry": "stole gone did not give back want"}


class Bayes:
    """Words → log-odds of topics; a row without a known word gets the prior."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.kind = Classify(tuple(texts))
        words = sorted({word for text in texts.values() for word in text.replace(";", "").split()})
        self.place = {word: at for at, word in enumerate(words)}
        counts = np.ones((len(words), len(texts)))
        for column, text in enumerate(texts.values()):
            for word in text.replace(";", "").split():
                counts[self.place[word], column] += 1
        self.weights = np.log(counts / counts.sum(0))

    def logits(self, texts: Sequence[str]) -> Array:
        out = np.zeros((len(texts), len(self.kind.labels)))
        for row, text in enumerate(texts):
            spaced = "".join(f" {one} " if one > "\u2e7f" else one for one in text.lower())
            known = [self.place[word] for word in spaced.split() if word in self.place]
            out[row] = self.weights[known].sum(0)
        return out


def manifest(name: str, inputs: dict[str, str], targets: Mapping[str, str]) -> Manifest:
    listed = [{"name": target, "kind": kind, "spec": {}} for target, kind in targets.items()]
    return Manifest(name, inputs, {}, listed, {}, {}, {}, {}, {}, {}, digest=f"sha256:{name.encode().hex():0<64}")


@dataclass
class BayesPredictor:
    """One topic per text; ``moods`` adds a second target."""

    manifest: Manifest
    models: dict[str, Bayes]
    seconds: float = 0.0
    calls: int = 0

    @property
    def kinds(self) -> dict[str, Kind]:
        return {name: model.kind for name, model in self.models.items()}

    def answers(
        self, inputs: Sequence[Any], top: int = 0, targets: Any = None, error: float | None = None
    ) -> dict[str, list[Any]]:
        self.calls += 1
        columns = list(self.manifest.inputs)
        texts = [" ".join(row[name] for name in columns) if isinstance(row, Mapping) else row for row in inputs]
        time.sleep(self.seconds * texts.count("slow"))
        if "broken" in texts:
            raise RuntimeError("the secret text is: broken")
        if "refused" in texts:
            raise TunewrightError(f"row {texts.index('refused')}: it is refused", "send another one")
        return {name: self._answers(self.models[name], texts, top) for name in targets or self.models}

    def _answers(self, model: Bayes, texts: Sequence[str], top: int) -> list[Any]:
        found = model.kind.decode(model.logits(texts), top)
        return [one if text.strip() else model.kind.empty("empty") for one, text in zip(found, texts, strict=True)]


def topics(name: str = "topics", seconds: float = 0.0, inputs: dict[str, str] | None = None) -> BayesPredictor:
    return BayesPredictor(
        manifest(name, inputs or {"text": "text"}, {"topic": "classify"}), {"topic": Bayes(TOPICS)}, seconds
    )


def topics_and_moods() -> BayesPredictor:
    models = {"topic": Bayes(TOPICS), "mood": Bayes(MOODS)}
    return BayesPredictor(manifest("both", {"text": "text"}, dict.fromkeys(models, "classify")), models)


def main() -> None:
    from tunewright.serve.access.access import Access
    from tunewright.serve.handed import handed
    from tunewright.serve.limits import Limits
    from tunewright.serve.listen import bound, listen

    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=0.0, help="for every text `slow`")
    options.add_argument("--column", default="text")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--limits", type=json.loads, default={})
    options.add_argument("--parser", choices=("httptools", "h11"))
    chosen = options.parse_args()
    if chosen.parser:
        name = {"httptools": "HttpToolsProtocol", "h11": "H11Protocol"}[chosen.parser]
        module = importlib.import_module(f"uvicorn.protocols.http.{chosen.parser}_impl")
        importlib.import_module("tunewright.serve.listen").AutoHTTPProtocol = getattr(module, name)
    predictors = {"topics": topics(seconds=chosen.seconds, inputs={chosen.column: "text"})}
    if chosen.column == "text":
        predictors["both"] = topics_and_moods()
    limits = Limits(**{"drain_seconds": 0.5, "timeout_seconds": 10} | chosen.limits)
    with handed() or bound("127.0.0.1", chosen.port) as taken:
        listen(predictors, taken, limits, access=Access.at("127.0.0.1"))


if __name__ == "__main__":
    main()
