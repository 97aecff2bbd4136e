"""What the fit of a fold answers on the rows that it has not seen; kept, so that a kill costs one fold at the most."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.types import Array, Kind
from tunewright.train.answers import fresh
from tunewright.train.checkpoint import Checkpoints
from tunewright.train.context import Context


@dataclass(frozen=True)
class Answers:
    """Of the rows of one fold.

    kind : calibrated on the fold's own validation part; logits : (n, k); method : the one that was chosen
    learnt : rows that the fit learned from, its validation part included
    """

    kind: Kind
    logits: Array
    method: str
    learnt: int


def answered(folder: Path, run: Run, kind: str, fit: Callable[[], Context]) -> Answers | None:
    """Answers on the held-out part of a context, from ``folder`` where an earlier process kept them.

    fit : the context of the fold's fit; not called where they are kept

    Returns
    -------
    None where the run was interrupted meanwhile: then the fit was cut short.
    """
    kept = Checkpoints(folder, run)
    found = kept.latest()
    if found is not None:
        tensors, told = found
        run.reach(told["seconds"])
        spec = plugins.load("kinds", kind).load(told["spec"])
        return Answers(spec, tensors["logits"].numpy(), told["method"], told["learnt"])
    out = _fitted(fit())
    if run.interrupted:
        return None
    told = {"spec": out.kind.spec(), "method": out.method, "learnt": out.learnt, "seconds": run.elapsed}
    kept.save({"logits": torch.from_numpy(out.logits)}, json.loads(json.dumps(told)))
    return out


def _fitted(context: Context) -> Answers:
    found = fresh(context)
    logits = found.ask(context.parts["held_out"].inputs)
    if logits.dtype == object:
        raise TunewrightError(
            f"split.folds does not fit kind {context.target.kind!r}, whose answers differ in length", "leave it out"
        )
    learnt = sum(len(context.parts[part].truth) for part in ("train", "validation"))
    return Answers(found.kind, logits, found.method, learnt)
