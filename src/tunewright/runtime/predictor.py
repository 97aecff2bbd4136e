"""A bundle, loaded: predict, predict_proba, embed, explain. Never imports torch."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tunewright.core.bundle import Manifest, read_manifest
from tunewright.core.errors import TunewrightError
from tunewright.core.switch import run_folder
from tunewright.core.types import Array, Kind, Modality, Windows
from tunewright.kinds._laid_out import by_row
from tunewright.runtime.decisions import Decisions
from tunewright.runtime.encoder import Encoder, Head
from tunewright.runtime.inputs import as_columns
from tunewright.runtime.network import Network
from tunewright.runtime.parts import Parts
from tunewright.runtime.review import Rules
from tunewright.runtime.scope import Scope
from tunewright.runtime.shelf import Shelf
from tunewright.runtime.threads import available
from tunewright.runtime.together import Pass, Question
from tunewright.runtime.vectors import of_rows

if TYPE_CHECKING:
    from tunewright.runtime.explain import Explanation
    from tunewright.runtime.explainer import Explainer


class Predictor:
    """What a bundle becomes when it is loaded. Safe to call from several threads.

    >>> predictor = Predictor.load("intents/")                                # doctest: +SKIP
    >>> predictor.predict(["my card was stolen"])                             # doctest: +SKIP
    [Label(label='lost_or_stolen_card', score=0.97, reason=None, candidates=None)]
    """

    def __init__(
        self,
        manifest: Manifest,
        network: Network,
        kinds: Mapping[str, Kind],
        scopes: Mapping[str, Scope],
        folder: Path | None = None,
    ) -> None:
        self.manifest = manifest
        self.folder = folder
        self.network = network
        self.kinds = dict(kinds)
        self.scopes = dict(scopes)
        self.rules = Rules.of(manifest.task)

    @classmethod
    def load(cls, folder: Path | str, threads: int = 0, shelf: Shelf | None = None) -> Self:
        """Read a bundle; the files that are loaded are compared with their digests first.

        Parameters
        ----------
        threads : int
            Threads of one call; 0 = what the container's CPU quota allows.
        shelf : what bundles that were loaded with it hold already is not loaded again; of its files only the sizes are
            looked at

        Raises
        ------
        TunewrightError
            There is no bundle, it is of a newer format, or (``DamagedBundle``) a file was changed.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        alone = shelf is None
        parts = Parts(folder, manifest, threads or available(), Shelf() if shelf is None else shelf, alone=alone)
        return cls(manifest, parts.network(), parts.kinds(), parts.scopes(), folder)

    def computed_by(self, network: Network) -> Self:
        """The same bundle with another network of the same parts."""
        out = copy.copy(self)
        out.network = network
        return out

    @property
    def encoder(self) -> Encoder:
        """What makes states of windows; other bundles may stand on it too."""
        return self.network.encoder

    @property
    def modality(self) -> Modality:
        """How raw values become windows."""
        return self.encoder.modality

    @property
    def kind(self) -> Kind:
        """The kind of the first target."""
        return next(iter(self.kinds.values()))

    def kind_of(self, target: str) -> Kind:
        """The kind of a target; ``""`` is the first one."""
        return self.kinds[target] if target else self.kind

    def predict(self, inputs: Any, top: int = 0, error: float | None = None) -> list[Any]:
        """One answer per row, in input order; where the bundle has several targets, a mapping target → answer.

        Parameters
        ----------
        inputs : strings, records (column → text), a pandas or polars frame, or columns (column → list)
        top : int
            How many candidates each answer lists.
        error : float
            Rate at which sets of labels may miss the true one, see ``answers``; default: the task's own.
        """
        found = self.answers(inputs, top, error=error)
        return by_row(found) if len(self.kinds) > 1 else next(iter(found.values()))

    def predict_proba(self, inputs: Any) -> Any:
        """float64 (n, k): probabilities of the labels, in the order of ``kind.labels``.

        Where the bundle has several targets, a mapping target → probabilities, of those that have labels.
        """
        if len(self.kinds) == 1:
            return self.kind.proba(next(iter(self.logits(inputs).values())))
        return {
            name: self.kinds[name].proba(one) for name, one in self.logits(inputs).items() if self.kinds[name].labels
        }

    def embed(self, inputs: Any) -> Array:
        """float32 (n, d): one vector per row, of length 1."""
        windows = self.modality.windows(self._columns(inputs))
        pieces = self.run(windows, ["embed"])["embed"]
        return of_rows(pieces, windows)

    def seen(self, inputs: Any) -> tuple[dict[str, Array], Array]:
        """What ``logits`` and ``embed`` give, from one pass of the encoder."""
        windows = self.modality.windows(self._columns(inputs))
        pieces = self.run(windows, [*(f"head.{name}" for name in self.kinds), "embed"])
        logits = {name: kind.gather(pieces[f"head.{name}"], windows) for name, kind in self.kinds.items()}
        return logits, of_rows(pieces["embed"], windows)

    def explain(
        self,
        inputs: Any,
        method: str | Explainer = "occlusion",
        *,
        target: str | None = None,
        label: str | None = None,
        most: int | None = None,
        seed: int = 0,
        characters: int | None = None,
    ) -> list[Explanation]:
        """What each piece of a text speaks for the predicted label, or a named one; see ``explain.explain``."""
        from tunewright.runtime.explain import MOST, explain  # a cold start that only predicts does without it

        options: dict[str, Any] = {
            "target": target,
            "label": label,
            "most": MOST if most is None else most,
            "seed": seed,
        }
        return explain(self, inputs, method, **options, characters=characters)

    def answers(
        self, inputs: Any, top: int = 0, targets: Sequence[str] | None = None, error: float | None = None
    ) -> dict[str, list[Any]]:
        """Target → one answer per row. A row may be left undecided, with a ``reason``.

        ``empty``: its inputs are all empty; ``out_of_scope``: it is unlike all that was learnt; ``unsure``: its set of
        labels, which misses the true one at the rate of ``error`` at the most, has not exactly one; of several labels,
        some stay open.
        Where the task has rules of review, each answer has ``needs_review``.

        targets : names of those that are asked for; default: all
        error : rate of errors; default: what the task says; 0 = rows are answered, sure or not

        Raises
        ------
        TunewrightError
            No target of the bundle keeps what a rate of errors rests on, or it is no rate.
        """
        (found,) = Pass([Question(self, self._columns(inputs), top, targets, error)]).answers()
        return found

    def heads_for(self, targets: Sequence[str] | None, error: float | None) -> dict[str, Head]:
        """Part → head, of all that such answers need; see ``answers``, also for what is raised."""
        self.kinds_at(error)
        asked = list(self.kinds) if targets is None else targets
        embed = ["embed"] if any(self.scopes[name].by_vectors for name in asked if name in self.scopes) else []
        return self.network.named([*(f"head.{name}" for name in asked), *embed])

    def answers_from(
        self,
        columns: Sequence[Sequence[Any]],
        windows: Windows,
        pieces: Mapping[str, Sequence[Array]],
        top: int = 0,
        targets: Sequence[str] | None = None,
        error: float | None = None,
    ) -> dict[str, list[Any]]:
        """As ``answers``, from what the parts of ``heads_for`` gave for each window of the rows."""
        decisions = Decisions(self.kinds_at(error), self.scopes, self.rules, self.manifest.inputs)
        return decisions.answers(columns, windows, pieces, top, self.kinds if targets is None else targets)

    def kinds_at(self, error: float | None) -> dict[str, Kind]:
        """The kinds as they answer at a rate of errors; those that cannot promise one stay as they are."""
        if error is None:
            return self.kinds
        able = {name: kind for name, kind in self.kinds.items() if hasattr(kind, "at_error")}
        if not able:
            raise TunewrightError("no target of this bundle can promise a rate of errors", "leave `error` out")
        return {**self.kinds, **{name: kind.at_error(error) for name, kind in able.items()}}

    def logits(self, inputs: Any) -> dict[str, Array]:
        """Target → logits, one row per input row."""
        return self.logits_of(self._columns(inputs))

    def logits_of(self, columns: Sequence[Sequence[Any]], targets: Sequence[str] | None = None) -> dict[str, Array]:
        """As ``logits``, from one list of values per input column, in the order of the manifest."""
        windows = self.modality.windows(columns)
        asked = list(self.kinds) if targets is None else targets
        pieces = self.run(windows, [f"head.{name}" for name in asked])
        return {name: self.kinds[name].gather(pieces[f"head.{name}"], windows) for name in asked}

    def as_read(self, columns: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """One list of values per input column as the model reads them: with personal data masked, if the task asks."""
        read = getattr(self.modality, "as_read", None)
        return columns if read is None else read(columns)

    def stream(self, chunks: Iterator[Any], top: int = 0, error: float | None = None) -> Iterator[dict[str, list[Any]]]:
        """Answers for chunks of rows, one after the other; memory does not grow with the rows."""
        return (self.answers(chunk, top, error=error) for chunk in chunks)

    def _columns(self, inputs: Any) -> list[list[Any]]:
        return as_columns(inputs, list(self.manifest.inputs))

    def run(
        self, windows: Windows, heads: Sequence[str], batches: Iterable[Array] | None = None
    ) -> dict[str, list[Array]]:
        """As ``Network.run``."""
        return self.network.run(windows, heads, batches)


def load(folder: Path | str, threads: int = 0) -> Predictor:
    """Load a bundle; see ``Predictor.load``."""
    if not Path(folder).exists() and not run_folder(Path(folder)).exists():
        raise TunewrightError(f"{folder}: there is no such folder", "name a folder that `tunewright fit` wrote")
    return Predictor.load(folder, threads)
