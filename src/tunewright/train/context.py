"""What a method gets: the rows, the backbone, what is computed of them once."""

from __future__ import annotations

import copy
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tunewright.backbones._catalogue import Found
from tunewright.backbones._loaded import LoadedBackbone
from tunewright.backbones._vocabulary import WORDED, narrowed, widened
from tunewright.core import plugins
from tunewright.core.run import Run
from tunewright.core.sections import Target
from tunewright.core.task import Task
from tunewright.core.types import Array, Kind, Modality, Ragged, Windows
from tunewright.heads._pooled import Embed
from tunewright.heads._several import SeveralHead
from tunewright.kinds._several import Several, Single
from tunewright.objectives._wrapped import paired, wrapped
from tunewright.train.affordable import affordable
from tunewright.train.cache import Cache, about, digest_of
from tunewright.train.course import Course, Model, decayed, one_after_other
from tunewright.train.depth import by_depth
from tunewright.train.device import give_back
from tunewright.train.examples import Examples, Part, encode
from tunewright.train.fairness import DRO, cells, judged_by
from tunewright.train.feed import Feed
from tunewright.train.fitted import Fitted
from tunewright.train.outputs import frozen, of_rows, outputs
from tunewright.train.pool import Pool
from tunewright.train.repeats import repeats
from tunewright.train.step import plain


@dataclass
class Context:
    """What a method may use. The encoder in ``backbone`` is never changed: a method that trains copies it.

    target, kind : several targets of a task stand as one here, of the kind ``Several``
    parts : ``train``, ``validation`` and ``held_out``, on which the exported graphs will be compared and judged;
        methods look at its size alone
    chosen : loads the backbone; not called where no method needs one
    start : the probe, where it was fitted
    words, dense : words alone, and the best of what was fitted on the backbone, where a ladder has got so far
    pass_seconds : what one pass of the frozen encoder over the training rows took
    branch : put before the names of its courses, which several contexts of one run keep apart by it
    pool : rows that training and validation part are drawn from, where other contexts draw from them too
    """

    task: Task
    target: Target
    kind: Kind
    parts: Mapping[str, Part]
    run: Run
    device: torch.device
    bf16: bool
    chosen: Callable[[], tuple[LoadedBackbone, Found]]
    start: Fitted | None = None
    words: Fitted | None = None
    dense: Fitted | None = None
    pass_seconds: float = 0.0
    branch: str = ""
    pool: Pool | None = None
    _courses: Counter[str] = field(default_factory=Counter)

    @cached_property
    def backbone(self) -> LoadedBackbone:
        """The task's backbone, on the device."""
        backbone = self._chosen[0]
        return replace(backbone, encoder=backbone.encoder.to(self.device))

    @property
    def found(self) -> Found:
        """Where the backbone came from."""
        return self._chosen[1]

    @cached_property
    def _chosen(self) -> tuple[LoadedBackbone, Found]:
        return self.chosen()

    @property
    def singles(self) -> tuple[Single, ...]:
        """The targets, one by one."""
        kind = self.kind
        return kind.singles if isinstance(kind, Several) else (Single(self.target.name, self.target.kind, kind),)

    def by_target(self, logits: Array) -> dict[str, Array]:
        """Target → its own of logits (..., k)."""
        if not isinstance(self.kind, Several):
            return {self.target.name: logits}
        return {slot.single.name: logits[..., slot.logits] for slot in self.kind.slots}

    @cached_property
    def train(self) -> Examples:
        """The training rows; of windows that are learnt from as a whole nobody asks where in a text tokens lie."""
        every = self.examples("train", self.backbone.modality)
        return every if isinstance(every.wanted, Ragged) else replace(every, windows=replace(every.windows, spans=None))

    @cached_property
    def validation(self) -> Examples:
        return self.examples("validation", self.backbone.modality)

    @cached_property
    def held_out(self) -> Examples:
        return self.examples("held_out", self.backbone.modality)

    def examples(self, part: str, modality: Modality) -> Examples:
        """A part as a modality encodes it."""
        return encode(self.parts[part], list(self.task.inputs), modality, self.kind)

    def new_head(self) -> nn.Module:
        """A head of the target's kind, drawn from the task's seed."""
        torch.manual_seed(self.task.seed)
        made = SeveralHead if isinstance(self.kind, Several) else plugins.load("heads", self.target.kind)
        head: nn.Module = made(self.backbone.width, self.kind, self.backbone.pooling)
        return head.to(self.device)

    def copy_of_encoder(self) -> nn.Module:
        """The encoder to be trained; of a text encoder's word table only what the rows at hand need."""
        encoder = self.backbone.encoder
        if not isinstance(encoder, WORDED) or not isinstance(encoder.words, nn.Embedding):
            return copy.deepcopy(encoder)
        ids = [part.windows.data["input_ids"] for part in (self.train, self.validation)]
        used = np.unique(np.concatenate([one.values for one in ids if isinstance(one, Ragged)]))
        pad = np.array([getattr(self.backbone.modality, "pad_id", 0)])
        return narrowed(encoder, torch.from_numpy(np.union1d(used, pad).astype(np.int64)).to(self.device))

    def whole(self, encoder: nn.Module) -> nn.Module:
        """A trained copy as it ships: with every token of the backbone."""
        whole = self.backbone.encoder
        if isinstance(encoder, WORDED) and isinstance(whole, WORDED):
            return widened(encoder, whole)
        return encoder

    @cached_property
    def embedded(self) -> Examples:
        """The training rows that a closed form learns from: all of them, or as many as half of the time allows."""
        return affordable(self)

    @cached_property
    def train_embeddings(self) -> NDArray[np.float32]:
        """float32 (n, d): frozen embeddings of the rows of ``embedded``."""
        return self._embed(self.embedded, "training")

    @cached_property
    def validation_embeddings(self) -> NDArray[np.float32]:
        return self._embed(self.validation, "validation")

    def course(
        self, name: str, model: Model, *, rate: float = 1e-4, feed: Feed | None = None, judged: Feed | None = None
    ) -> Course:
        """A training of encoder and head by the loss of the kind, judged on the validation part.

        Parameters
        ----------
        name : of the method, for checkpoints and log
        rate : the method's own peak step size, where the task names none
        feed, judged : training and validation windows, where the model does not take those of the backbone's modality
        """
        modality, fit = self.backbone.modality, self.task.fit
        own = feed is None or feed.wanted is self.train.wanted  # pairs, say, have a truth that no objective knows
        feed = feed or Feed(self.train.windows, self.train.wanted, modality.batch)
        judged = judged or Feed(self.validation.windows, self.validation.wanted, modality.batch)
        # The judge may travel to another process; the context need not.
        kind, truth, device = self.kind, self.validation.truth, self.device
        if own:
            feed = replace(feed, apart=not paired(self.task))
        if own and fit.oversample:
            drawn = repeats(self.train.truth, self.kind.size, fit.oversample, self.task.seed)
            feed = replace(feed, repeats=drawn[feed.windows.owner])
        if own and self.train.weights is not None:
            feed = replace(feed, weights=self.train.weights[feed.windows.owner])
        if own and self.task.objectives.get(DRO):
            feed = replace(feed, groups=cells(self.parts["train"])[feed.windows.owner])
        counted = judged_by(self.task, self.parts["validation"])
        step, states = wrapped(self, model) if own else (plain, [])

        def judge(_: nn.Module) -> tuple[float, Array]:
            logits = kind.gather(outputs(model, judged, device), judged.windows)
            return round(float(np.average(kind.row_score(logits, truth), weights=counted)), 6), logits

        return Course(
            name=name,
            checkpoints=self._checkpoints(name),
            feed=feed,
            loss=model.head.loss,  # type: ignore[arg-type]
            judge=judge,
            metric=self.kind.headline[0],
            fit=fit,
            seed=self.task.seed,
            rate=fit.learning_rate or rate,
            run=self.run,
            device=self.device,
            bf16=self.bf16,
            step=step,
            groups=decayed if fit.layer_decay == 1 else by_depth(fit.layer_decay),
            held_out_passes=self._times_validation,
            unit=getattr(modality, "unit", "units"),
            after_step=one_after_other(*(one.after_step for one in states)),
            carried={name: tensor for one in states for name, tensor in one.carried.items()},
        )

    def _checkpoints(self, name: str) -> Path:
        """A folder of its own for each course of a run, and for each state of the backbone's files."""
        self._courses[name] += 1
        digest = hashlib.sha256(json.dumps(self.cache.about, sort_keys=True).encode()).hexdigest()
        return self.run.work / "checkpoints" / f"{self.branch}{name}-{self._courses[name]}-{digest[:12]}"

    @cached_property
    def _times_validation(self) -> float:
        """How much more a pass over the held-out part costs than one over the validation part."""
        return float(self.held_out.windows.cost.sum() / max(1, self.validation.windows.cost.sum()))

    @cached_property
    def cache(self) -> Cache:
        """What is computed from frozen weights."""
        return Cache(self.run.work / "cache", self.run, about(self.backbone, self.found))

    def frozen_key(self, windows: Windows, *, learnt: bool) -> dict[str, Any]:
        """What frozen activations of windows depend on, besides the backbone.

        learnt : they are only learnt from, so bf16 will do; what is judged is computed as it will be served
        """
        return {"windows": digest_of(windows), "bf16": self.bf16 and learnt, "device": self.device.type}

    def _embed(self, examples: Examples, part: str) -> NDArray[np.float32]:
        learnt = examples is self.embedded
        if self.pool is not None and (learnt or not self.bf16):
            whole, seconds = self._pool_embeddings
            name = "train" if learnt else "validation"
            self.pass_seconds = seconds * self.pool.share("train")
            return whole[self.pool.index[name]]
        begun = self.run.elapsed
        out, seconds = self._embed_once(examples, part, learnt=learnt)
        if learnt:
            self.pass_seconds = seconds * len(self.train) / max(1, len(examples))
            self.run.reach(begun + seconds)
        return out

    @cached_property
    def _pool_embeddings(self) -> tuple[NDArray[np.float32], float]:
        """Embeddings of all rows of the pool, computed by the first context that asks, and the seconds it took."""
        assert self.pool is not None
        whole = encode(self.pool.part, list(self.task.inputs), self.backbone.modality, self.kind)
        return self._embed_once(whole, "training and validation", learnt=True)

    def _embed_once(self, examples: Examples, part: str, *, learnt: bool) -> tuple[NDArray[np.float32], float]:
        """Embeddings from the cache, or for it; and the seconds that computing them took."""
        key = self.frozen_key(examples.windows, learnt=learnt)
        key |= {"what": "embeddings", "pooling": self.backbone.pooling}
        begun = self.run.elapsed
        out = self.cache.array(key, lambda: self._embedded(examples, part, bf16=key["bf16"]))
        took = self.run.elapsed - begun
        return out, float(self.cache.array(key | {"what": "seconds"}, lambda: np.array([took]))[0]) if learnt else took

    def _embedded(self, examples: Examples, part: str, *, bf16: bool) -> NDArray[np.float32]:
        self.run.log("embed", say=f"embedding {len(examples):,} {part} rows")
        embed = Embed(self.backbone.pooling)
        encoder, modality = self.backbone.encoder, self.backbone.modality
        vectors = frozen(encoder, embed, modality, examples.windows, self.device, self.run, bf16=bf16)
        out = of_rows(vectors, examples.windows)
        give_back()
        return out
