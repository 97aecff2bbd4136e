"""Pruned bundles: smaller in every matrix, better after recovery than before, and what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tunewright.compress import prune
from tunewright.compress._copy import Copy
from tunewright.compress._lessons import Lessons
from tunewright.compress._narrow import by_taylor
from tunewright.compress._network import head_of, network_of, training
from tunewright.core.bundle import read_manifest, write_manifest
from tunewright.core.errors import TunewrightError
from tunewright.runtime.predictor import Predictor
from tunewright.train.course import Model
from tunewright.train.hand_over import to_hf
from tunewright.train.rebuild import rebuild

pytestmark = pytest.mark.usefixtures("traced_once")


def test_half_of_the_heads_and_neurons_is_half_of_each_matrix_and_the_bundle_can_be_rebuilt(
    tiny_bundle: Path, make: Callable[..., Copy], lessons: Callable[..., Lessons], tmp_path: Path
) -> None:
    copy = make("prune", "half of the heads and neurons", lessons=lessons(epochs=3))
    whole = Copy.of(tiny_bundle, tmp_path / "whole").tensors("encoder.text")
    small = copy.tensors("encoder.text")
    assert whole["layers.0.qkv.weight"].shape == (96, 32)
    assert small["layers.0.qkv.weight"].shape == (48, 32)
    assert small["layers.1.out.weight"].shape == (32, 16)
    assert small["layers.1.up.weight"].shape == (32, 32)
    assert copy.manifest.size_bytes < read_manifest(tiny_bundle).size_bytes
    config = copy.manifest.backbone["config"]
    assert (config["num_attention_heads"], config["head_width"], config["intermediate_size"]) == (1, 16, 32)
    assert "2 of 2 layers, 1 of 2 heads and 32 of 64 neurons in each of them stay, by taylor" in copy.notes[0]
    texts = ["my card was stolen", "where is my refund?"]
    network = rebuild(copy.folder)
    arrays = network.modality.batch(network.modality.windows([texts]), [0, 1])
    states, mask = network.encoder(**{name: torch.from_numpy(one) for name, one in arrays.items()})
    (name,) = network.heads
    expected = Predictor.load(copy.folder, 1).logits(texts)[name]
    torch.testing.assert_close(network.heads[name](states, mask).numpy(), expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(TunewrightError, match="heads of its attention were pruned"):
        to_hf(copy.folder, tmp_path / "hf")


def test_fewer_layers_stay_a_model_of_transformers(
    make: Callable[..., Copy], lessons: Callable[..., Lessons], tmp_path: Path
) -> None:
    copy = make("prune", "half of the layers", lessons=lessons(importance="magnitude"))
    assert "layers.1.up.weight" not in copy.tensors("encoder.text")
    assert copy.manifest.backbone["config"]["num_hidden_layers"] == 1
    assert "by magnitude" in copy.notes[0]
    from transformers import AutoModel

    model = AutoModel.from_pretrained(to_hf(copy.folder, tmp_path / "hf"))
    assert len(model.encoder.layer) == 1


def test_the_importance_of_a_unit_is_what_its_gate_does_to_the_loss(
    tiny_bundle: Path, lessons: Callable[..., Lessons], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against the difference that a slightly closed gate makes, on one batch."""
    from tunewright.compress import _narrow

    monkeypatch.setattr(_narrow, "ROWS", 16)
    copy = Copy.of(tiny_bundle, tmp_path / "copy", lessons=lessons())
    network = network_of(copy.folder, "prune")
    backbone = replace(network.backbone, encoder=network.backbone.encoder.double())
    with training(copy, copy.lessons, backbone, network.found, epochs=1) as (context, _):
        context.bf16 = False
        model = Model(context.copy_of_encoder(), head_of(context, network))
        worth = by_taylor(context, model)
        course = context.course("check", model)
        drawn = torch.randperm(len(course.feed.windows), generator=torch.Generator().manual_seed(context.task.seed))
        index = drawn[:16].sort().values.numpy()
        arrays, truth = course.feed.inputs(index, context.device), course.feed.truth(index, context.device)

        def loss() -> float:
            with torch.no_grad():
                return float(model.head.loss(model.eval()(**arrays), truth).mean())

        weight, small = model.encoder.layers[1].out.weight, 1e-3
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                weight[:, 16:] *= 1 + sign * small
                ends.append(loss())
                weight[:, 16:] /= 1 + sign * small
    slope = (ends[0] - ends[1]) / (2 * small)
    assert worth.heads[1, 1] == pytest.approx(slope**2, rel=0.02)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("weights", "has no weights beside its graphs, so no weights to train → leave prune out"),
        ("family", "an encoder of family 'other' has no weights to train here"),
    ],
)
def test_what_has_no_weights_to_train_is_refused(
    spoil: str, message: str, tiny_bundle: Path, tmp_path: Path, lessons: Callable[..., Lessons]
) -> None:
    folder = tmp_path / "spoilt"
    shutil.copytree(tiny_bundle, folder)
    manifest = read_manifest(folder)
    if spoil == "weights":
        parts = {name: replace(part, data=()) for name, part in manifest.parts.items()}
        write_manifest(folder, replace(manifest, parts=parts))
    else:
        write_manifest(folder, replace(manifest, backbone=manifest.backbone | {"family": "other"}))
    copy = Copy.of(folder, tmp_path / "copy", lessons=lessons())
    with pytest.raises(TunewrightError, match=message):
        prune.run(copy, "half of the layers")


def test_it_learns_so_it_needs_rows_and_weights_that_are_not_in_8_bits(
    tiny_bundle: Path, tmp_path: Path, make: Callable[..., Copy], lessons: Callable[..., Lessons]
) -> None:
    with pytest.raises(
        TunewrightError, match="prune learns, and there are no rows that it may learn from → pass --train"
    ):
        prune.run(Copy.of(tiny_bundle, tmp_path / "one"), "half of the layers")
    copy = make("fp16", "weights in fp16", lessons=lessons())
    copy.lessons = lessons()
    with pytest.raises(
        TunewrightError, match=r'compressed \(fp16\).*before what makes weights smaller: --to "prune,int8"'
    ):
        prune.run(copy, "half of the layers")


def test_an_encoder_that_is_as_small_as_it_gets_is_refused(
    tiny_bundle: Path, tmp_path: Path, lessons: Callable[..., Lessons]
) -> None:
    encoder = network_of(tiny_bundle, "prune").backbone.encoder
    worth = prune.by_magnitude(encoder)
    with pytest.raises(TunewrightError, match="prune has nothing to take away"):
        prune.cut(encoder, worth, prune.How())


def test_an_encoder_in_two_parts_is_one_of_the_bundles_own_afterwards(
    make: Callable[..., Copy], lessons: Callable[..., Lessons], halved_bundles: dict[str, Path]
) -> None:
    bundle = halved_bundles["top-0"]
    copy = make("prune", "half of the layers", lessons=lessons(teacher=bundle, importance="magnitude"), bundle=bundle)
    assert copy.manifest.encoder == ("encoder.text",)
    assert copy.manifest.format == 2
    assert "layers.1.up.weight" not in copy.tensors("encoder.text")
    assert len(Predictor.load(copy.folder, 1).predict(["my card was stolen"])) == 1
