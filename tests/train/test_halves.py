"""An encoder in two parts: what is cut where, and that bundles share the lower one and answer as before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tunewright.backbones._encoder import Encoder
from tunewright.backbones._halves import Lower, Upper, unmoved
from tunewright.core.bundle import read_manifest
from tunewright.methods import adapter, bitfit, prefix, probe, prompt, top
from tunewright.runtime.encoder import Encoder as Loaded
from tunewright.runtime.predictor import Predictor
from tunewright.runtime.shelf import Shelf
from tunewright.runtime.together import Pass, Question
from tunewright.train.export import export
from tunewright.train.halves import Halves, halves
from tunewright.train.rebuild import rebuild

Make = Callable[..., Any]
SETTINGS = {"fit.shared": True, "fit.layers": 1, "fit.size": 4, "fit.batch_rows": 16} | {
    # Enough to beat the start, which ships otherwise.
    "fit.epochs": 24,
    "fit.patience": 24,
    "fit.learning_rate": 5e-3,
    "fit.average": 0.0,
}


def said(context: Any) -> str:
    return " / ".join(record.get("say", "") for record in context.run.told)


@pytest.mark.parametrize("depth", [0, 1])
@torch.no_grad()
def test_both_halves_are_the_encoder_bit_by_bit(depth: int, make_context: Make) -> None:
    context = make_context()
    encoder = context.backbone.encoder.eval()
    arrays = context.backbone.modality.batch(context.train.windows, np.arange(9))
    inputs = {name: torch.from_numpy(value) for name, value in arrays.items()}
    whole, wanted = encoder(**inputs)
    lower, upper = Lower(encoder, depth), Upper(encoder, depth)
    states, mask = lower(**inputs)
    assert torch.equal(upper(states, mask), whole)
    assert torch.equal(mask, wanted)
    own = [set(half.state_dict()) for half in (lower, upper)]
    assert own[0] | own[1] == set(encoder.state_dict())
    assert not own[0] & own[1]


@pytest.mark.parametrize(
    ("method", "depth"),
    [(top, 1), (bitfit, 0), (adapter, 0), (prefix, 0)],
    ids=lambda one: getattr(one, "__name__", str(one)).rpartition(".")[2],
)
def test_what_a_method_left_is_found_by_its_bits(method: Any, depth: int, make_context: Make) -> None:
    context = make_context("classify", SETTINGS, intents=2)
    fitted = method.fit(context)
    cut = halves(context, fitted)
    assert isinstance(cut.lower, Lower)
    assert isinstance(cut.upper, Upper)
    assert not cut.updates
    assert len(cut.lower.layers) == depth
    below = f"the word table and {depth} of 2 layers are" if depth else "the word table is"
    assert f"fit.shared: {below} as pretrained" in said(context)


def test_one_bit_decides(make_context: Make) -> None:
    backbone = make_context().backbone.encoder
    names = ("layers.1.up.bias", "layers.0.up.bias", "norm.bias", "words.weight")
    for name, depth in zip(names, (1, 0, 0, None), strict=True):
        other = Encoder(backbone.shape)
        other.load_state_dict(backbone.state_dict())
        assert unmoved(other, backbone) == 2
        with torch.no_grad():
            other.get_parameter(name).view(-1)[3] += 1e-6
        assert unmoved(other, backbone) == depth


def test_where_nothing_can_be_cut_it_is_said_and_one_part_ships(make_context: Make) -> None:
    context = make_context("classify", SETTINGS | {"fit.epochs": 1}, intents=2)
    given = context.backbone.encoder
    moved = Encoder(given.shape)
    fitted = SimpleNamespace(method="full", encoder=moved, backbone=None)
    assert halves(context, fitted) == Halves(moved)  # type: ignore[arg-type]
    assert "method 'full' moved the word table: nothing is left to share, the encoder ships in one part" in said(
        context
    )
    assert halves(context, probe.fit(context)) == Halves(given)
    assert "method 'probe' left the whole encoder as pretrained: it is shared in one part" in said(context)
    prompted = prompt.fit(context)
    assert halves(context, prompted) == Halves(prompted.encoder)
    assert "method 'prompt' ships PromptedEncoder, which is not cut in two: nothing is shared" in said(context)
    context = make_context("classify", SETTINGS | {"fit.epochs": 1, "fit.shared": False}, intents=2)
    fitted = top.fit(context)
    assert halves(context, fitted) == Halves(fitted.encoder)
    assert "fit.shared" not in said(context)


# --- bundles ---


@pytest.fixture(scope="module")
def texts(sample_rows: dict[str, list[dict[str, str]]]) -> list[str]:
    found = [row["text"] for row in sample_rows["support_test.csv"]][:40]
    return [*found, " ".join(found), ""]


def near(one: Any, other: Any) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all((a.label, a.reason) == (b.label, b.reason) for a, b in pairs) and all(
        a.score == b.score or abs(a.score - b.score) < 1e-5 for a, b in pairs
    )


@pytest.mark.parametrize("depth", [0, 1])
def test_every_trace_of_a_lower_half_is_the_same_file(depth: int, make_context: Make, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "other"):
        context = make_context("classify", intents=2 if name == "one" else 3)
        encoder, modality = context.backbone.encoder, context.backbone.modality
        parts = export(tmp_path / name, "text", modality, context.train.windows, Lower(encoder, depth), {})
        part = parts["encoder.text"]
        contents.append({path: (tmp_path / name / path).read_bytes() for path in (part.file, *part.data)})
    assert contents[0] == contents[1]


def test_the_lower_parts_are_equal_to_the_byte(halved_bundles: dict[str, Path]) -> None:
    one, other = (read_manifest(halved_bundles[f"top-{at}"]) for at in (0, 1))
    assert one.encoder == ("encoder.text", "upper.text")
    assert one.heads == ("head.intent", "embed")
    assert one.format == 3
    assert one.parts["encoder.text"] == other.parts["encoder.text"]
    assert one.parts["upper.text"].data != other.parts["upper.text"].data
    for path in (one.parts["encoder.text"].file, *one.parts["encoder.text"].data):
        assert (halved_bundles["top-0"] / path).read_bytes() == (halved_bundles["top-1"] / path).read_bytes()
    from safetensors import safe_open

    with safe_open(halved_bundles["top-0"] / one.parts["encoder.text"].data[0], "np") as file:
        names = set(file.keys())
    assert {"words.weight", "positions.weight"} < names
    assert {name.split(".")[1] for name in names if name.startswith("layers.")} == {"0"}


@pytest.mark.parametrize(("method", "uppers"), [("top", 2), ("lora", 1)])
def test_bundles_that_share_answer_as_each_does_alone(
    method: str, uppers: int, halved_bundles: dict[str, Path], texts: list[str]
) -> None:
    shelf = Shelf()
    one, other = (Predictor.load(halved_bundles[f"{method}-{at}"], 1, shelf) for at in (0, 1))
    assert one.encoder is other.encoder
    assert len(shelf.graphs) == 1 + uppers + 2 + 1  # the lower part; upper ones; a head each; the one that embeds
    alone = [Predictor.load(halved_bundles[f"{method}-{at}"], 1).predict(texts) for at in (0, 1)]
    assert near(one.predict(texts), alone[0])
    assert near(other.predict(texts), alone[1])
    assert any(a.score != b.score for a, b in zip(*alone, strict=True))
    found = Pass([Question(one, [texts[:30]]), Question(other, [texts[20:]])]).answers()
    assert near(found[0]["intent"], alone[0][:30])
    assert near(found[1]["intent"], alone[1][20:])


def test_one_pass_of_the_lower_part_serves_both_and_each_upper_one_sees_its_own_rows(
    halved_bundles: dict[str, Path],
) -> None:
    shelf = Shelf()
    pair = [Predictor.load(halved_bundles[f"top-{at}"], 1, shelf) for at in (0, 1)]
    lower, *uppers = counted = [Counted(pair[0].encoder.graph), *(Counted(one.network.upper) for one in pair)]
    encoder = Loaded(pair[0].modality, lower)  # type: ignore[arg-type]
    for one, upper in zip(pair, uppers, strict=True):
        one.network = replace(one.network, encoder=encoder, upper=upper)  # type: ignore[arg-type]
    rows = [["where is my order", "i want a refund", "where is my order"], ["i want a refund", "my card is gone"]]
    Pass([Question(one, [own]) for one, own in zip(pair, rows, strict=True)]).answers()
    assert [sum(one.rows) for one in counted] == [3, 2, 2]
    pair[0].answers([*rows[0][:2], *rows[1][1:]])
    assert [sum(one.rows) for one in counted] == [6, 5, 2], "embedding and logits of one bundle have one upper pass"
    pair[0].seen(rows[0][:2])
    assert [sum(one.rows) for one in counted] == [8, 7, 2]


class Counted:
    """A graph that counts the rows it is asked for."""

    threads = 1

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.rows: list[int] = []

    @property
    def single(self) -> Any:
        return self

    def __call__(self, arrays: Any) -> Any:
        self.rows.append(len(next(iter(arrays.values()))))
        return self.graph(arrays)


def test_the_answers_are_those_of_the_same_fit_in_one_part(halved_bundles: dict[str, Path], texts: list[str]) -> None:
    whole, parted = (Predictor.load(halved_bundles[name], 1) for name in ("whole", "top-0"))
    assert whole.manifest.encoder == ("encoder.text",)
    assert whole.manifest.format == 2
    assert near(whole.predict(texts), parted.predict(texts))
    np.testing.assert_allclose(whole.embed(texts), parted.embed(texts), atol=1e-5)
    np.testing.assert_allclose(whole.predict_proba(texts), parted.predict_proba(texts), atol=1e-5)


def test_two_threads_say_the_same(halved_bundles: dict[str, Path], texts: list[str]) -> None:
    assert near(
        Predictor.load(halved_bundles["top-0"], 2).predict(texts),
        Predictor.load(halved_bundles["top-0"], 1).predict(texts),
    )


def test_the_network_comes_back_from_both_parts(halved_bundles: dict[str, Path]) -> None:
    one, other = (rebuild(halved_bundles[name]).encoder.state_dict() for name in ("whole", "top-0"))
    assert list(one) == list(other)
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    drawn = [rebuild(halved_bundles[name], seed=3).encoder.state_dict() for name in ("whole", "top-0")]
    assert all(torch.equal(value, drawn[1][name]) for name, value in drawn[0].items())
