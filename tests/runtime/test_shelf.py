"""The shelf: one encoder for all bundles that stand on the same one, for as long as one of them is there."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tunewright.core.bundle import read_manifest, write_manifest
from tunewright.core.errors import DamagedBundle
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.shelf import Shelf

Siblings = Callable[[int], list[Path]]


def test_bundles_of_one_encoder_hold_it_once(siblings: Siblings, texts: list[str]) -> None:
    shelf = Shelf()
    folders = siblings(3)
    together = [Predictor.load(folder, 1, shelf) for folder in folders]
    assert len({id(one.encoder) for one in together}) == len(shelf.encoders) == 1
    assert len({id(one.modality) for one in together}) == 1
    assert len(shelf.graphs) == 1 + 3 + 1  # the encoder, a head each, and the one that embeds
    for folder, predictor in zip(folders, together, strict=True):
        assert predictor.predict(texts) == Predictor.load(folder, 1).predict(texts)
    assert len({str(one.predict(texts)) for one in together}) == 3


def test_nothing_is_shared_without_a_shelf(siblings: Siblings) -> None:
    one, other = (Predictor.load(folder, 1) for folder in siblings(2))
    assert one.encoder is not other.encoder


def test_an_encoder_goes_with_its_last_bundle(siblings: Siblings) -> None:
    shelf = Shelf()
    loaded = {folder: Predictor.load(folder, 1, shelf) for folder in siblings(2)}
    loaded.popitem()
    gc.collect()
    assert len(shelf.encoders) == 1
    loaded.clear()
    gc.collect()
    assert len(shelf) == 0


def test_other_settings_of_the_same_text_are_another_encoder_on_the_same_graph(siblings: Siblings) -> None:
    first, second = siblings(2)
    manifest = read_manifest(second)
    changed = {"text": {**manifest.modalities["text"], "max_tokens": 12}}
    write_manifest(second, replace(manifest, modalities=changed))
    shelf = Shelf()
    one, other = (Predictor.load(folder, 1, shelf) for folder in (first, second))
    assert one.encoder is not other.encoder
    assert one.encoder.graph is other.encoder.graph
    assert (one.modality.max_tokens, other.modality.max_tokens) == (8, 12)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "problem"),
    [(lambda path: path.unlink(), "the file is missing"), (lambda path: path.write_bytes(b""), "the file is damaged")],
)
def test_a_bundle_without_its_own_encoder_is_damaged_although_it_would_not_be_read(
    siblings: Siblings, change: Any, problem: str
) -> None:
    first, second = siblings(2)
    shelf = Shelf()
    kept = Predictor.load(first, 1, shelf)
    change(second / kept.manifest.parts["encoder.text"].file)
    with pytest.raises(DamagedBundle, match=problem):
        Predictor.load(second, 1, shelf)


def test_a_damaged_head_is_refused_although_the_encoder_is_shared(siblings: Siblings) -> None:
    first, second = siblings(2)
    shelf = Shelf()
    kept = Predictor.load(first, 1, shelf)
    data = second / kept.manifest.parts["head.label"].data[0]
    data.write_bytes(data.read_bytes()[:-4] + b"\0\0\1\0")
    with pytest.raises(DamagedBundle, match=f"{data.name}: the file is damaged"):
        Predictor.load(second, 1, shelf)
