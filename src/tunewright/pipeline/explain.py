"""One text and a loaded bundle: what each of its words speaks for the answer; as a page where one is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tunewright.core import errors
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Kind
from tunewright.pipeline.explainers import explainer
from tunewright.pipeline.nearest import Near, nearest_rows
from tunewright.pipeline.tasks import Source
from tunewright.report.explanation import page
from tunewright.runtime.explain import MOST, Explanation, explainable, target_of
from tunewright.runtime.predictor import load

NEAREST = 5
"""Training rows that are listed."""


@dataclass(frozen=True)
class Explained:
    """What was explained, and how.

    texts : input column → the text
    found : one explanation for each target and label
    near : the nearest training rows; empty where none were asked for
    """

    texts: dict[str, str]
    found: list[Explanation]
    bundle: str
    near: list[Near] = field(default_factory=list)

    @property
    def record(self) -> dict[str, Any]:
        """JSON values."""
        told = [{key: value for key, value in asdict(one).items() if key != "row"} for one in self.found]
        near = {"nearest": [asdict(one) for one in self.near]} if self.near else {}
        return {"input": self.texts, "explanations": told, **near, "bundle": self.bundle}


def explain(
    folder: str | Path,
    texts: str | Sequence[str],
    *,
    method: str = "occlusion",
    target: str | None = None,
    label: str | None = None,
    most: int = MOST,
    seed: int = 0,
    train: Source = None,
    nearest: int = NEAREST,
    options: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Explained:
    """Explain what a bundle answers to one input.

    texts : one for each input column, in their order
    method : ``occlusion``, ``lime``, ``shap`` or ``ig``
    target : default: all that can be explained; with a ``label`` those that have it
    train : the rows that the bundle learnt from, or others; the ``nearest`` of them are listed
    options : how to read them; default: with the names and the layout of the training rows
    out : an HTML file to write

    Raises
    ------
    TunewrightError
        ``out`` exists, the texts do not fit the columns, or as ``Predictor.explain`` says.
    """
    page_file = None if out is None else Path(out)
    if page_file is not None and page_file.exists() and not force:
        raise TunewrightError(f"{page_file}: it exists already", "pass --force to replace it, or choose another --out")
    if page_file is not None and not page_file.parent.is_dir():
        raise TunewrightError(f"{page_file}: there is no folder {page_file.parent}", "make it first")
    predictor = load(folder)
    columns, given = list(predictor.manifest.inputs), [texts] if isinstance(texts, str) else list(texts)
    if len(columns) != len(given):
        raise TunewrightError(
            f"the bundle reads {len(columns)} columns ({', '.join(columns)}) and {len(given)} texts are given",
            "give one text for each, in quotes",
        )
    row = {name: value for name, (value,) in zip(columns, predictor.as_read([[one] for one in given]), strict=True)}
    way = explainer(method, Path(folder))
    found = [
        one
        for name in _targets(predictor.kinds, target, label)
        for one in predictor.explain([row], way, target=name, label=label, most=most, seed=seed)
    ]
    near = [] if train is None else nearest_rows(predictor, row, train, nearest, options)
    if page_file is not None:
        made = page(predictor.manifest.name, row, found, [vars(one) for one in near])
        page_file.write_text(made, encoding="utf-8", errors="replace")
    return Explained(row, found, predictor.manifest.digest, near)


def _targets(kinds: Mapping[str, Kind], target: str | None, label: str | None) -> list[str]:
    if target is not None:
        return [target]
    names = [name for name, kind in kinds.items() if explainable(kind)] or [target_of(kinds, None)]
    if label is None or len(names) == 1:
        return names
    having = [name for name in names if label in kinds[name].labels]
    if not having:
        known = [one for name in names for one in kinds[name].labels]
        raise TunewrightError(f"no target has a label {label!r}", errors.nearest(label, known))
    return having
