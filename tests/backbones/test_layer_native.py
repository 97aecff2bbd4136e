"""A layer in native code: the same layer in fp32 within bf16, whatever is dropped; when it is used at all."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tunewright.backbones import _layer16, _layer_native, native
from tunewright.backbones._encoder import Encoder, Layer, Shape
from tunewright.backbones.native import steps
from tunewright.runtime.native import SWITCH
from tunewright.runtime.processor import processor

sys.path.append(str(Path(__file__).resolve().parents[1]))

from gradients import distance, outcome

SHAPE = Shape(vocabulary=60, width=64, layers=2, heads=2, inner=96, positions=1100, types=2)
NEAR = 0.02
"""Distance of numbers that went through bf16 from those that did not, in shares of their length."""


def test_on_ci_the_package_was_built_with_its_native_code() -> None:
    if not os.environ.get("CI"):
        pytest.skip("asked on CI alone: elsewhere there may be no compiler")
    assert native.FILE.exists()


@pytest.fixture(autouse=True)
def _usable() -> None:
    """Without the library, or where the processor cannot run it, there is nothing to test."""
    if not native.FILE.exists():
        pytest.skip(f"{native.FILE.name} was not compiled: there was no C compiler when the package was installed")
    if native.library() is None:
        pytest.skip(f"this processor ({processor().name}) has no AVX-512 with bf16")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def made(shape: Shape = SHAPE) -> Encoder:
    torch.manual_seed(1)
    return Encoder(shape)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    "shape",
    [
        SHAPE,
        replace(SHAPE, activation="gelu_new"),
        replace(SHAPE, width=128, inner=64),
        replace(SHAPE, width=96, heads=1),
        replace(SHAPE, heads=1, head_width=32),
        replace(SHAPE, width=384, heads=12, inner=1536, layers=1),
    ],
    ids=["plain", "by tanh", "heads of 64", "a head of 96", "pruned", "as minilm-en"],
)
@pytest.mark.parametrize(
    "lengths", [[19, 17, 3, 1, 11, 19, 8], [100, 70, 33, 128], [32, 32], [1], [300, 2]], ids=lambda one: str(max(one))
)
def test_states_and_gradients_are_those_of_fp32_within_bf16(shape: Shape, lengths: list[int]) -> None:
    encoder = made(shape).eval()
    assert all(_layer_native.fits(layer, max(lengths)) for layer in encoder.layers)  # type: ignore[arg-type]
    exact, found = outcome(encoder, lengths, False), outcome(encoder, lengths, True)
    assert found.keys() == exact.keys()
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert distance(value, exact[name]) < NEAR, name


@given(lengths=st.lists(st.integers(1, 70), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_rows_of_any_lengths(lengths: list[int]) -> None:
    encoder = made(replace(SHAPE, layers=1)).eval()
    exact, found = outcome(encoder, lengths, False), outcome(encoder, lengths, True)
    assert max(distance(found[name], exact[name]) for name in exact) < NEAR


def test_it_is_as_near_as_torch_is(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, lengths = made().eval(), [19, 17, 3, 1, 11, 19, 8]
    exact, found = outcome(encoder, lengths, False), outcome(encoder, lengths, True)
    monkeypatch.setenv(SWITCH, "off")
    plain = outcome(encoder, lengths, True)
    ours, theirs = (sum(distance(one[name], exact[name]) for name in exact) for one in (found, plain))
    assert ours < 1.1 * theirs
    assert any(not torch.equal(found[name], plain[name]) for name in exact)


def by_hand(layer: Layer, flat: Tensor, lengths: list[int], kept: list[Tensor], grown: float) -> Tensor:
    """The layer in fp32, with given numbers dropped: of the shares (n, heads, longest), and of both sums (n, d)."""
    heads, width = layer.shape.heads, layer.shape.width_of_head
    mixed, begin = [], 0
    for length in lengths:
        own = slice(begin, begin + length)
        query, key, value = layer.qkv(flat[own]).view(length, 3, heads, width).permute(1, 2, 0, 3)
        shares = (query @ key.transpose(1, 2) / width**0.5).softmax(-1)
        shares = shares * kept[0][own, :, :length].permute(1, 0, 2) * grown
        mixed.append((shares @ value).transpose(0, 1).reshape(length, -1))
        begin += length
    flat = layer.attention_norm(flat + layer.out(torch.cat(mixed)) * kept[1] * grown)
    inner = functional.gelu(layer.up(flat))
    out: Tensor = layer.norm(flat + layer.down(inner) * kept[2] * grown)
    return out


@pytest.mark.usefixtures("threads")
def test_what_is_dropped_is_dropped_on_both_ways() -> None:
    """Against the layer by hand, with the numbers dropped that the seeds stand for."""
    lengths = [70, 33, 19, 17, 40, 3, 1, 11, 64]
    shape = replace(SHAPE, dropout=64 / 256, attention_dropout=64 / 256)
    torch.manual_seed(4)
    layer, n = Layer(shape).train(), sum(lengths)
    flat, weights = torch.randn(n, 64, requires_grad=True), torch.randn(n, 64)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    bias = ((~mask) * -1e4).float().view(len(lengths), 1, 1, -1)
    packed = replace(_layer16.Packed.of(bias), flat=mask.flatten().nonzero()[:, 0])
    torch.manual_seed(9)
    seeds = torch.empty(3, dtype=torch.int64).random_(-(2**63), None).tolist()
    shares = steps.kept(seeds[0], 64, n * 2, native.LONGEST).view(n, 2, -1)
    kept = [shares, *(steps.kept(seed, 64, n, 64) for seed in seeds[1:])]

    def gradients(out: Tensor) -> list[Tensor]:
        return [out.detach(), *torch.autograd.grad((out * weights).sum(), [flat, *layer.parameters()])]

    exact = gradients(by_hand(layer, flat, lengths, kept, 256 / 192))
    torch.manual_seed(9)
    rows = _layer_native.rows(packed, bias)
    assert rows.whole
    found = gradients(_layer_native.forward(layer, rows, flat, bias))
    assert max(distance(*pair) for pair in zip(found, exact, strict=True)) < NEAR
    assert distance(_layer_native.forward(layer, rows, flat, bias).detach(), exact[0]) > 5 * NEAR  # other draws


@pytest.mark.parametrize("dropped", [1, 26, 128, 255])
def test_the_share_that_is_dropped(dropped: int) -> None:
    kept = steps.kept(5, dropped, 2_000, 384)
    assert 1 - kept.double().mean().item() == pytest.approx(dropped / 256, abs=3e-3)
    assert not torch.equal(kept, steps.kept(6, dropped, 2_000, 384))
    first, second = kept[:-1].double().flatten(), kept[1:].double().flatten()
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1].item()) < 0.006


def test_any_number_of_threads_gives_the_same_states() -> None:
    encoder, found = made(replace(SHAPE, dropout=0.3)).train(), []
    before = torch.get_num_threads()
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        torch.manual_seed(3)
        found.append(outcome(encoder, [60] * 9 + [33, 7], True))
    torch.set_num_threads(before)
    for other in found[1:]:
        assert torch.equal(other["states"], found[0]["states"])
        assert all(distance(value, found[0][name]) < 1e-3 for name, value in other.items())


def test_tokens_of_no_row_change_nothing() -> None:
    """Padding is computed where it makes the tokens a multiple of 32; other rows get other numbers of it."""
    encoder = made().eval()
    ids = torch.arange(60)[None, :11]
    with torch.autocast("cpu", torch.bfloat16):
        alone = encoder(ids, torch.ones_like(ids))[0]
        mask = torch.tensor([[1] * 11 + [0] * 30, [1] * 41])
        beside = encoder(torch.cat([functional.pad(ids, (0, 30)), torch.arange(41)[None]]), mask)[0]
    assert torch.equal(alone[0], beside[0, :11])


def test_only_what_moves_gets_a_gradient() -> None:
    encoder = made().eval().requires_grad_(False)
    moving = {"layers.1.down.weight", "layers.0.qkv.bias", "layers.1.attention_norm.weight"}
    for name in moving:
        encoder.get_parameter(name).requires_grad_(True)
    assert outcome(encoder, [19, 3], True).keys() == {"states", *moving}


def test_what_is_computed_again_is_the_same() -> None:
    encoder = made().train()
    torch.manual_seed(3)
    kept = outcome(encoder, [40, 19], True)
    encoder.recompute = True
    torch.manual_seed(3)
    again = outcome(encoder, [40, 19], True)
    assert all(torch.equal(kept[name], again[name]) for name in kept)


@pytest.mark.parametrize(
    ("shape", "tokens", "fits"),
    [
        (SHAPE, native.LONGEST, True),
        (SHAPE, native.LONGEST + 1, False),
        (replace(SHAPE, heads=4), 10, False),
        (replace(SHAPE, inner=100), 10, False),
        (replace(SHAPE, width=80, head_width=32), 10, False),
    ],
)
def test_what_it_is_used_for(shape: Shape, tokens: int, fits: bool) -> None:
    assert _layer_native.fits(Layer(shape), tokens) is fits


def test_padding_costs_nothing_where_all_layers_are_computed_so() -> None:
    encoder = made()
    assert not encoder.skips_padding(10), "products are fp32"
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder.skips_padding(10)
        assert not encoder.skips_padding(native.LONGEST + 1)
        encoder.layers[1] = Layer(replace(SHAPE, heads=4))
        assert not encoder.skips_padding(10)


def test_numbers_of_another_kind_are_for_torch() -> None:
    assert not _layer_native.fits(Layer(SHAPE).double(), 10)


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert native.usable()
    monkeypatch.setenv(SWITCH, "off")
    assert not native.usable()


def test_without_threads_of_torch_it_is_used_for_one_alone(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(native, "openmp", lambda: None)
    assert native.usable() is (threads == 1)


@pytest.mark.parametrize("why", ["no file", "an old processor"])
def test_without_the_library_torch_computes_all(why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Old:
        def __init__(self, _: str) -> None:
            pass

        tw_supported = staticmethod(lambda: 0)

    if why == "no file":
        monkeypatch.setattr(native, "FILE", tmp_path / "layer.so")
    else:
        monkeypatch.setattr(ctypes, "CDLL", Old)
    native.library.cache_clear()
    try:
        assert not native.usable()
        encoder = made().eval()
        exact, found = outcome(encoder, [19, 3], False), outcome(encoder, [19, 3], True)
        assert max(distance(found[name], exact[name]) for name in exact) < NEAR
    finally:
        native.library.cache_clear()
