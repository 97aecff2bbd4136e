"""The layer with bf16 products: as near to fp32 as autocast is; padding; dropped numbers; when it is taken."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tunewright.backbones import _layer16
from tunewright.backbones._encoder import ACTIVATIONS, Encoder, Shape

sys.path.append(str(Path(__file__).resolve().parents[1]))

from gradients import batch, distance, gradients, outcome

SHAPE = Shape(vocabulary=60, width=64, layers=2, heads=4, inner=128, positions=40, types=2)
LENGTHS = (19, 17, 3, 1, 11, 19, 8)


def made(shape: Shape = SHAPE) -> Encoder:
    torch.manual_seed(1)
    return Encoder(shape)


@pytest.mark.parametrize("head_width", [0, 8], ids=["whole", "pruned"])
@pytest.mark.parametrize("activation", sorted(_layer16.APPROXIMATE))
def test_states_and_gradients_are_those_of_fp32_within_bf16(activation: str, head_width: int) -> None:
    encoder = made(replace(SHAPE, activation=activation, head_width=head_width)).eval()
    exact, found = outcome(encoder, LENGTHS, False), outcome(encoder, LENGTHS, True)
    assert found.keys() == exact.keys()
    for name, value in found.items():
        assert value.dtype == torch.float32
        assert distance(value, exact[name]) < 0.03, name


def test_it_is_as_near_as_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = made().eval()
    exact, found = outcome(encoder, LENGTHS, False), outcome(encoder, LENGTHS, True)
    monkeypatch.setattr(_layer16, "fits", lambda *_: False)
    cast = outcome(encoder, LENGTHS, True)
    ours, theirs = (sum(distance(one[name], exact[name]) for name in exact) for one in (found, cast))
    assert ours < 1.25 * theirs
    assert any(not torch.equal(found[name], cast[name]) for name in exact)


def test_padding_is_not_computed_and_comes_out_as_zeros() -> None:
    ids, mask, _ = batch(LENGTHS, 64)
    packed = _layer16.Packed.of(((1 - mask.float()) * -1e4).view(7, 1, 1, 19))
    assert len(packed.flat) % _layer16.EVEN == 0
    assert sum(LENGTHS) <= len(packed.flat) < sum(LENGTHS) + _layer16.EVEN < mask.numel()
    with torch.autocast("cpu", torch.bfloat16):
        states, _ = made().eval()(ids, mask)
    missing = torch.ones(mask.numel(), dtype=torch.bool)
    missing[packed.flat] = False
    assert missing.sum() == mask.numel() - len(packed.flat)
    assert states.flatten(0, 1)[missing].abs().max() == 0
    assert states.flatten(0, 1)[~missing].abs().amax(1).min() > 0


def test_rows_laid_end_to_end_are_those_of_fp32_within_bf16() -> None:
    """Their tokens see different ones of a line, so that no padding can be left out."""
    encoder, (ids, _, weights) = made().eval(), batch(LENGTHS, 64)
    places, owner = torch.arange(19).repeat(7, 1) % 6, torch.arange(19).repeat(7, 1) // 6
    found: list[dict[str, Tensor]] = []
    for bf16 in (False, True):
        encoder.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            states = encoder.in_lines(ids, places, owner).float()
            (states * weights).sum().backward()
        found.append({"states": states.detach()} | gradients(encoder))
    exact, near = found
    assert near.keys() == exact.keys()
    for name, value in near.items():
        assert distance(value, exact[name]) < 0.03, name


def test_what_is_split_by_heads_is_joined_again() -> None:
    _, mask, _ = batch(LENGTHS, 64)
    packed = _layer16.Packed.of(((1 - mask.float()) * -1e4).view(7, 1, 1, 19))
    flat = torch.randn(len(packed.flat), 3 * 64)
    parts = packed.split(flat, 3, 4)
    assert parts.shape == (3, 7 * 4, 24, 16)
    torch.testing.assert_close(packed.joined(parts), flat, rtol=0, atol=0)


def test_other_rows_and_padding_change_no_state() -> None:
    ids, mask, _ = batch(LENGTHS, 64)
    encoder = made().eval()
    with torch.autocast("cpu", torch.bfloat16):
        whole, alone = encoder(ids, mask)[0][4, :11], encoder(ids[4:5, :11], mask[4:5, :11])[0][0]
    torch.testing.assert_close(alone, whole, atol=2e-2, rtol=0)


def test_the_gradient_flows_where_the_value_did() -> None:
    """With the same draws, steps in a direction change the loss by the gradient along it."""
    encoder = made(replace(SHAPE, dropout=0.3, attention_dropout=0.3)).train()
    ids, mask, weights = batch(LENGTHS, 64)

    def loss() -> Tensor:
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16):
            states, real = encoder(ids, mask)
        return (states * real[..., None] * weights).sum()

    loss().backward()
    for name in ("layers.1.down.bias", "layers.0.qkv.weight", "layers.1.norm.weight", "layers.0.out.weight"):
        one = encoder.get_parameter(name)
        assert one.grad is not None
        direction = one.grad / one.grad.norm()
        with torch.no_grad():
            step = 0.3 * float(one.norm().clamp(min=1.0))
            one += step * direction / 2
            above = loss()
            one -= step * direction
            below = loss()
            one += step * direction / 2
        assert float(above - below) / step == pytest.approx(float(one.grad.norm()), rel=0.15), name


def test_the_share_that_is_dropped_and_the_mean_that_stays() -> None:
    torch.manual_seed(0)
    mask = _layer16.kept(1_000_003, 64, torch.device("cpu"))
    assert mask.dtype == torch.bfloat16
    assert mask.unique().tolist() == [0.0, 1.0]
    assert 1 - mask.double().mean().item() == pytest.approx(0.25, abs=2e-3)
    pairs = mask[:1_000_000].double().view(2, -1)
    assert abs(torch.corrcoef(pairs)[0, 1].item()) < 0.006
    ones = torch.ones(1_000_003)
    assert _layer16._dropped(ones, mask, 64).double().mean().item() == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize("dropped", [1, 128, 255])
def test_shares_at_the_ends(dropped: int) -> None:
    torch.manual_seed(0)
    mask = _layer16.kept(400_000, dropped, torch.device("cpu"))
    assert 1 - mask.double().mean().item() == pytest.approx(dropped / 256, abs=3e-3)


def test_only_what_moves_gets_a_gradient() -> None:
    encoder = made().eval().requires_grad_(False)
    moving = {"layers.1.down.weight", "layers.0.qkv.bias", "layers.1.attention_norm.weight"}
    for name in moving:
        encoder.get_parameter(name).requires_grad_(True)
    assert outcome(encoder, LENGTHS, True).keys() == {"states", *moving}


def test_what_is_computed_again_is_the_same() -> None:
    encoder = made().train()
    torch.manual_seed(3)
    kept = outcome(encoder, LENGTHS, True)
    encoder.recompute = True
    torch.manual_seed(3)
    again = outcome(encoder, LENGTHS, True)
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_it_is_taken_for_bf16_and_whole_layers_alone() -> None:
    layer, flat = made().layers[0], torch.zeros(3, 64)
    assert not _layer16.fits(layer, flat)  # type: ignore[arg-type]
    with torch.autocast("cpu", torch.bfloat16):
        assert _layer16.fits(layer, flat)  # type: ignore[arg-type]
        handle = layer.qkv.register_forward_hook(lambda *_: None)  # type: ignore[union-attr]
        assert not _layer16.fits(layer, flat)  # type: ignore[arg-type]
        handle.remove()
        layer.up = torch.nn.Sequential(layer.up)  # type: ignore[arg-type]
        assert not _layer16.fits(layer, flat)  # type: ignore[arg-type]
    other = made(replace(SHAPE, activation="relu"))
    assert "relu" in ACTIVATIONS
    with torch.autocast("cpu", torch.bfloat16):
        assert not _layer16.fits(other.layers[0], flat)  # type: ignore[arg-type]
