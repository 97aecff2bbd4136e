"""Integrated gradients: complete, the same as captum's own, of every encoder that a bundle can hold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import LayerIntegratedGradients

import tunewright
from tunewright import samples
from tunewright.core.bundle import read_manifest, write_manifest
from tunewright.core.errors import TunewrightError
from tunewright.kinds.classify import Classify
from tunewright.kinds.multilabel import Multilabel
from tunewright.kinds.regress import Regress
from tunewright.pipeline.explainers import by_gradients
from tunewright.runtime.explain import Explanation, scores
from tunewright.runtime.redrawn import redrawn
from tunewright.train import gradients
from tunewright.train.integrated import STEPS, integrated, shares
from tunewright.train.rebuild import rebuild

TEXT = "where is my order, please? I don't know 😀 when it comes"
LONG = " ".join([TEXT] * 12)


def fitted(folder: Path, backbone: Path, method: str) -> Path:
    settings = {"fit.backbone": str(backbone), "fit.method": method, "fit.threads": 1, "fit.epochs": 1}
    tunewright.fit(samples.path("support_train.csv"), text="text", label="intent", out=folder, settings=settings)
    return folder


def summed(one: Explanation) -> float:
    assert one.base is not None
    return one.base + sum(piece.weight for piece in one.pieces)


@pytest.mark.parametrize("text", [TEXT, LONG, "x", "!!"])
def test_the_weights_add_up_to_the_log_odds(tiny_bundle: Path, text: str) -> None:
    predictor = tunewright.load(tiny_bundle)
    (one,) = predictor.explain([text], integrated(tiny_bundle))
    wanted = np.log(one.score / (1 - one.score))
    assert summed(one) == pytest.approx(wanted, abs=0.02)
    assert one.base != pytest.approx(wanted, abs=0.02), "blank tokens are not the text"
    assert (one.method, one.asked, one.measure) == ("ig", STEPS + 1, "log_odds")


def test_a_word_has_what_captum_gives_its_tokens(tiny_bundle: Path) -> None:
    """Against captum's own treatment of the word table, with a softmax of our own, token by token."""
    network = rebuild(tiny_bundle)
    predictor = tunewright.load(tiny_bundle)
    (one,) = predictor.explain([TEXT], integrated(tiny_bundle))
    (kind,) = network.kinds.values()
    (head,) = network.heads.values()
    at = kind.labels.index(one.label or "")
    ids = torch.tensor([network.modality.tokenizer.encode(TEXT).ids])
    blank = ids.clone()
    blank[:, 1:-1] = network.modality.pad_id

    def odds(given: torch.Tensor) -> torch.Tensor:
        states, mask = network.encoder(given, torch.ones_like(given))
        proba = (head(states, mask).double() / kind.temperature).softmax(-1)  # type: ignore[attr-defined]
        return torch.log(proba / (1 - proba))

    method = LayerIntegratedGradients(odds, network.encoder.words)  # type: ignore[arg-type]
    by_token = method.attribute(ids, blank, target=at, n_steps=STEPS)[0].sum(-1)
    offsets = network.modality.tokenizer.encode(TEXT).offsets
    for piece in one.pieces:
        inside = [at for at, (start, end) in enumerate(offsets) if start < piece.end and end > piece.start]
        assert piece.weight == pytest.approx(float(by_token[inside].sum()), abs=1e-3), piece


def test_windows_of_a_long_text_are_gathered_as_in_serving(tiny_bundle: Path) -> None:
    network, predictor = rebuild(tiny_bundle), tunewright.load(tiny_bundle)
    row = gradients.read(network, [LONG])
    assert len(row.ids) > 2
    (target,) = network.kinds
    with torch.no_grad():
        found = gradients.scores(network, target, row, gradients.embedded(network, row.ids)[None]).numpy()
    logits = predictor.logits_of([[LONG]])[target]
    np.testing.assert_allclose(found, scores(predictor.kind, logits), atol=1e-3)


@pytest.mark.parametrize(
    "kind",
    [
        Classify(("a", "b", "c"), temperature=0.4),
        Multilabel(("a", "b", "c"), (0.1, 0.5, 0.9), temperature=3.0),
        Regress(10.0, 2.5),
    ],
)
def test_calibration_is_found_by_asking_for_it(kind: Any) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (20, kind.size))
    found = gradients._scored(kind, torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(found, scores(kind, logits), atol=1e-6)


def test_factors_of_each_class_are_found_too() -> None:
    kind = Classify(("a", "b", "c"), temperature=0.5, factors=(1.0, 2.0, 0.5), biases=(0.1, -0.3, 0.7))
    logits = np.random.default_rng(0).normal(0, 2, (20, 3))
    np.testing.assert_allclose(
        gradients._scored(kind, torch.from_numpy(logits)).numpy(), kind.log_odds(logits), atol=1e-6
    )


def test_tokens_are_shared_by_what_they_cover() -> None:
    own = np.array([[False, True, True, True, True, False]])
    spans = np.array([[[0, 0], [0, 2], [2, 6], [6, 7], [9, 10], [0, 0]]])
    places = np.array([[0, 3], [3, 6], [8, 10]])
    assert shares(own, spans, places).tolist() == [[1, 0.25, 0, 0], [0, 0.75, 1, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("method", ["full", "adapter", "prompt", "prefix"])
def test_what_methods_add_is_rebuilt(method: str, tiny_backbone: Path, tmp_path: Path, traced_once: None) -> None:
    bundle = fitted(tmp_path / method, tiny_backbone, method)
    (one,) = tunewright.load(bundle).explain([TEXT], integrated(bundle))
    assert summed(one) == pytest.approx(np.log(one.score / (1 - one.score)), abs=0.05)


def test_random_weights_are_those_of_the_graphs(tiny_bundle: Path) -> None:
    trained = tunewright.load(tiny_bundle)
    (one,) = redrawn(trained, 5).explain([TEXT], by_gradients(tiny_bundle, 5))
    assert summed(one) == pytest.approx(np.log(one.score / (1 - one.score)), abs=0.05)
    with pytest.raises(TunewrightError, match="its weights say .* where its graphs say"):
        trained.explain([TEXT], by_gradients(tiny_bundle, 5))


def test_words_alone_have_no_gradients(tiny_backbone: Path, tmp_path: Path) -> None:
    bundle = fitted(tmp_path / "words", tiny_backbone, "lexical")
    with pytest.raises(TunewrightError, match="this bundle reads ngrams → use --method occlusion, lime or shap"):
        integrated(bundle)


def test_a_bundle_without_weights(tiny_bundle: Path, tmp_path: Path, cli: Callable[..., Any]) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bare")
    manifest = read_manifest(bundle)
    bare = {name: replace(part, data=()) for name, part in manifest.parts.items()}
    write_manifest(bundle, replace(manifest, parts=bare))
    with pytest.raises(TunewrightError, match="no weights beside its graphs, so no gradients → use --method occlusion"):
        integrated(bundle)


def test_the_command_explains_by_it_and_empty_texts_are_told(cli: Callable[..., Any], tiny_bundle: Path) -> None:
    ran = cli("explain", tiny_bundle, TEXT, "--method", "ig")
    assert (ran.code, "on the way from blank tokens (integrated gradients)" in ran.out) == (0, True)
    ran = cli("explain", tiny_bundle, " ", "--method", "ig")
    assert (ran.code, "holds white space only: there is nothing to explain" in ran.err) == (2, True)
