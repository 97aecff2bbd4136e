"""What the fit of a fold answers on the rows that it has not seen; kept, so that a kill costs one fold at the most."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tunewright.core import plugins
from tunewright.core.errors import TunewrightError
from tunewright.core.run import Run
from tunewright.core.types import Array, Kind
from tunewright.train import device
from tunewright.train.checkpoint import Checkpoints
from tunewright.train.context import Context
from tunewright.train.learn import learn
from tunewright.train.outputs import frozen
from tunewright.train.thresholds import even


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
    fitted, _ = learn(context, baseline=False)
    modality = (fitted.backbone or context.backbone).modality
    examples = context.held_out if fitted.backbone is None else context.examples("held_out", modality)
    with device.threads(context.task.fit.threads):
        pieces: list[Any] = frozen(fitted.encoder, fitted.head, modality, examples.windows, context.device)
    logits = context.kind.gather(pieces, examples.windows)
    device.give_back()
    if logits.dtype == object:
        raise TunewrightError(
            f"split.folds does not fit kind {context.target.kind!r}, whose answers differ in length", "leave it out"
        )
    truth = context.kind.encode(context.parts["validation"].truth)
    kind = even(context, context.kind.calibrate(fitted.validation_logits, truth), fitted.validation_logits, truth)
    learnt = sum(len(context.parts[part].truth) for part in ("train", "validation"))
    return Answers(kind, logits, fitted.method, learnt)
