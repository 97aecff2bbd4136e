"""From texts without labels to a backbone folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tunewright.core.errors import TunewrightError, nearest
from tunewright.core.memory import peak_rss_bytes
from tunewright.core.run import Listener, Run, start
from tunewright.core.sections import Data
from tunewright.core.task import Sources, Task, read_task
from tunewright.core.task import settings as settings_of
from tunewright.data.dataset import Dataset, read
from tunewright.data.frames import as_texts
from tunewright.data.language import dominant
from tunewright.pipeline.extras import training
from tunewright.pipeline.tasks import Source, portable
from tunewright.pipeline.watch import watching
from tunewright.pipeline.workers import working

OBJECTIVES = ("masked", "simcse", "pairs")
DEFAULT = "simcse"
SECTIONS = ("seed", "split.validation", "data.", "fit.")
"""Settings of a task that pretraining follows, but for ``fit.method``."""
FEWEST_TEXTS = 10
MOST_HELD_OUT = 2_000
LANGUAGE_TEXTS = 2_000
"""Texts that the language is found from."""
LIBRARIES = ("tunewright", "torch", "tokenizers", "numpy")
NO_SEPARATOR = "\x1e\x1f"
"""Two control characters that no text holds: a line of a text file is one cell, whatever stands in it."""


def pretrain(
    corpus: Source,
    *,
    out: str | Path,
    backbone: str = "auto",
    text: str | None = None,
    pair: str | None = None,
    objective: str | None = None,
    settings: Mapping[str, Any] | None = None,
    force: bool = False,
    cluster: str | None = None,
    listener: Listener | None = None,
) -> Path:
    """Train a backbone further on texts without labels; the new one lies at ``out``, for ``fit`` and transformers.

    Parameters
    ----------
    corpus : a ``.txt`` file with one text a line; with ``text``, any file or frame that ``fit`` reads; a list of texts
    text, pair : column of the texts, and of their partners (a question and its answer, a title and its text)
    objective : ``masked``, ``simcse``, or ``pairs``; default: ``pairs`` with ``pair``, else ``simcse``
    settings : seed, split.validation and what stands under data and fit in a task, by dotted names
    force : replace what an earlier pretraining wrote to ``out``
    cluster : ``ray://HOST:PORT``, where ``fit.workers`` processes train; without it they are started on this machine

    Raises
    ------
    TunewrightError
        The texts, the settings or the place do not allow it; exit code 2.

    Examples
    --------
    >>> bank = pretrain("tickets.txt", backbone="minilm-en", out="mybank/")                # doctest: +SKIP
    >>> fit("train.csv", text="text", label="label", out="intents/",
    ...     settings={"fit.backbone": str(bank)})                                          # doctest: +SKIP
    """
    goal = _objective(objective, text, pair)
    task, sources = _task({"fit.backbone": backbone, **(settings or {})})
    out = Path(out)
    begun = start(out, task.fit.minutes, force=force, listener=listener, continues=True, makes=PRETRAINED)
    with begun as run, watching(run, task):
        run.log("settings", settings=_settings(task, sources, goal, objective))
        dataset, texts = _texts(corpus, text, pair, task.data, run)
        with working(run, task, cluster):
            facts = _learnt(task, goal, dataset, texts, run)
        run.note("result", metric=facts["metric"], value=facts["after"], before=facts["before"])
        run.publish(run.folder / "staged")
        run.finished(released=True)
        run.log("released", say=f"{_compared(facts)}; a backbone for `fit --backbone {out}`")
    return out


PRETRAINED = ("tunewright.json", "a backbone that `pretrain` wrote")
"""The file that tells a folder which may be replaced, and what it is called in a refusal."""


def _objective(objective: str | None, text: str | None, pair: str | None) -> str:
    if objective is not None and objective not in OBJECTIVES:
        raise TunewrightError(f"there is no objective {objective!r} to pretrain by", nearest(objective, OBJECTIVES))
    goal = objective or ("pairs" if pair else DEFAULT)
    if goal == "pairs" and not pair:
        raise TunewrightError("objective 'pairs' needs a second column of texts", "pass --pair COLUMN")
    if pair and goal != "pairs":
        raise TunewrightError(f"objective {goal!r} takes one text, not pairs", "leave --pair out, or --objective")
    if pair and pair == text:
        raise TunewrightError(f"--text and --pair both name {pair!r}", "name two columns")
    return goal


def _task(flags: Mapping[str, Any]) -> tuple[Task, Sources]:
    for name in flags:
        if not _followed(name):
            raise TunewrightError(
                f"--set {name}: pretraining has no such setting", "it takes seed, split.validation, data.… and fit.…"
            )
    return read_task(None, {"inputs.text": "text", **flags})


def _settings(task: Task, sources: Sources, goal: str, objective: str | None) -> dict[str, list[Any]]:
    told = {name: [value, sources[name]] for name, value in settings_of(task).items() if _followed(name)}
    return {"objective": [goal, "flag" if objective else "default"]} | told


def _followed(name: str) -> bool:
    return name.startswith(SECTIONS) and name != "fit.method"


def _texts(corpus: Source, text: str | None, pair: str | None, data: Data, run: Run) -> tuple[Dataset, pl.DataFrame]:
    """The rows as they were read; and of them the texts, each once, without the blank ones."""
    dataset = _read(corpus, text, pair, data)
    cells = dataset.frame.select(as_texts(column).str.strip_chars() for column in dataset.frame)
    full = cells.filter(pl.all_horizontal(pl.all().is_not_null() & (pl.all() != "")))
    texts = full.unique(maintain_order=True)
    blank, again = len(cells) - len(full), len(full) - len(texts)
    left_out = [f"{n:,} {what}" for n, what in ((blank, "blank"), (again, "repeated")) if n]
    said = f"{len(texts):,} texts" + (f"; left out: {', '.join(left_out)}" if left_out else "")
    run.log("corpus", rows=len(cells), texts=len(texts), say="; ".join((said, *dataset.notes)))
    if len(texts) < FEWEST_TEXTS:
        held = f"{len(texts)} different text" + ("s" if len(texts) != 1 else "")
        problem = f"{dataset.source}: it holds {held if len(texts) else 'no text'}, too few to learn from and judge on"
        raise TunewrightError(problem, f"give at least {FEWEST_TEXTS}; thousands help")
    return dataset, texts


def _read(corpus: Source, text: str | None, pair: str | None, data: Data) -> Dataset:
    if isinstance(corpus, list):
        corpus = {text or "text": corpus}
        text = text or "text"
    if text is not None:
        return read(corpus, data, [text, pair] if pair else [text])
    if isinstance(corpus, str | os.PathLike) and _is_lines(Path(corpus)) and not pair:
        lines = data.model_copy(
            update={"format": "tsv", "header": False, "separator": NO_SEPARATOR, "columns": ("text",), "rename": {}}
        )
        try:
            return read(corpus, lines)
        except TunewrightError as error:
            remedy = error.remedy.replace("a header line and rows", "one text a line")
            raise TunewrightError(error.problem, remedy) from None
    dataset = read(corpus, data)
    columns = ", ".join(dataset.frame.columns)
    raise TunewrightError(
        f"{dataset.source}: which column holds the texts is not said; its columns are: {columns:.300}",
        "pass --text COLUMN",
    )


def _is_lines(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(".txt")


def _learnt(task: Task, goal: str, dataset: Dataset, texts: pl.DataFrame, run: Run) -> dict[str, Any]:
    """Everything that needs torch: from texts to a folder in ``staged``; gives what is told of it."""
    with training("`pretrain`"):
        from tunewright.train.learn import choose_backbone
        from tunewright.train.pretraining.pretrain import pretrain, write_backbone

    language = dominant(texts.to_series().head(LANGUAGE_TEXTS).to_list())
    backbone, found = choose_backbone(task, language)
    said = f"backbone {found.name} ({backbone.family}, from the {found.source})"
    run.log("backbone", name=found.name, source=found.source, say="; ".join((said, *backbone.notes)))
    run.continues(_key(task, goal, texts.columns, dataset.digest, found.digest))
    train, held_out = _cut(texts, task)
    columns = [part.get_columns() for part in (train, held_out)]
    done = pretrain(backbone, found, columns[0], columns[1], goal, task, run)
    corpus = {"rows": len(dataset), "train": len(train), "held_out": len(held_out), "digest": dataset.digest}
    told = {
        "made_by": "tunewright pretrain",
        "licence": found.licence,
        "backbone": {"name": Path(found.name).name, "family": backbone.family, "digest": found.digest},
        "corpus": corpus,
        "training": done.facts,
        "settings": {
            "seed": task.seed,
            **{name: value for name, value in portable(task)["fit"].items() if name != "method"},
        },
        "run": {
            "interrupted": run.interrupted,
            "seconds": round(run.elapsed, 3),
            "peak_rss_bytes": peak_rss_bytes(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {name: version(name) for name in LIBRARIES},
        },
    }
    write_backbone(run.folder / "staged", backbone, found, done.encoder, told)
    return done.facts


def _key(task: Task, *others: Any) -> str:
    """Digest of what the result depends on, so that a killed run is only continued as itself."""
    libraries = [version(name) for name in LIBRARIES]
    return hashlib.sha256(json.dumps([portable(task), others, libraries], sort_keys=True).encode()).hexdigest()


def _cut(texts: pl.DataFrame, task: Task) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Texts to learn from, and a few to judge on; drawn by the seed."""
    size = min(MOST_HELD_OUT, max(2, round(len(texts) * task.split.validation)), len(texts) - 2)
    drawn = np.random.default_rng(task.seed).permutation(len(texts))
    return texts[np.sort(drawn[size:])], texts[np.sort(drawn[:size])]


def _compared(facts: Mapping[str, Any]) -> str:
    """The summary: what was gained on the held-out texts."""
    said = f"held-out {facts['metric']} {facts['before']:.4f} before, {facts['after']:.4f} after"
    if not facts["best_step"]:
        return f"{said}: nothing was gained, the weights are as they were"
    return f"{said} {facts['best_step']:,} steps"
