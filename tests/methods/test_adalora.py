"""AdaLoRA: schedule, importance and pruning as peft's, the penalty by its formula, the budget at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tunewright.methods import adalora
from tunewright.methods._low_rank import put_beside
from tunewright.methods._partial import shared
from tunewright.train.course import Model
from tunewright.train.feed import Feed
from tunewright.train.hand_over import to_hf
from tunewright.train.step import Piece, plain

Make = Callable[..., Any]
SETTINGS = {"fit.epochs": 2, "fit.learning_rate": 2e-2, "fit.batch_rows": 16, "fit.average": 0.9}


def triplets(*shapes: tuple[int, int, int], rank: int = 6) -> dict[str, Any]:
    """Updates of layers (in, out, parts), no value zero."""
    made = {
        str(at): adalora.Triplets(torch.nn.Linear(inside, out), parts, rank)
        for at, (inside, out, parts) in enumerate(shapes)
    }
    for one in made.values():
        for parameter in one.parameters():
            torch.nn.init.normal_(parameter)
    return made


def allocator(updates: dict[str, Any], **settings: Any) -> tuple[Any, torch.nn.Module]:
    """peft's, over a module with the same values; layers of several parts are layers of their own there."""
    from peft import AdaLoraConfig
    from peft.tuners.adalora.layer import RankAllocator

    model = torch.nn.Module()
    for name, one in updates.items():
        rights, strengths = one.right.chunk(one.parts), one.strength.chunk(one.parts)
        for part in range(one.parts):
            module = torch.nn.Module()
            for which, value in (("A", rights[part]), ("E", strengths[part][:, None]), ("B", one.left[part])):
                setattr(module, f"lora_{which}", torch.nn.ParameterDict({"default": value.detach().clone()}))
            model.add_module(f"{name}_{part}", module)
    return RankAllocator(
        model, AdaLoraConfig(**{"target_r": 2, "init_r": 6, "total_step": 100} | settings), "default"
    ), model


def with_gradients(updates: dict[str, Any], model: torch.nn.Module) -> None:
    """The same random gradients on both sides."""
    for name, one in updates.items():
        for parameter in one.parameters():
            parameter.grad = torch.randn_like(parameter)
        rights, strengths = one.right.grad.chunk(one.parts), one.strength.grad.chunk(one.parts)
        for part in range(one.parts):
            module = getattr(model, f"{name}_{part}")
            for which, value in (("A", rights[part]), ("E", strengths[part][:, None]), ("B", one.left.grad[part])):
                getattr(module, f"lora_{which}")["default"].grad = value.clone()


def test_the_budget_falls_as_in_peft() -> None:
    theirs, _ = allocator(triplets((8, 8, 1), (8, 8, 1)), tinit=10, tfinal=50)
    assert (theirs.init_bgt, theirs.target_bgt) == (12, 4)
    own = [adalora.budget(12, 4, step, 100) for step in range(1, 101)]
    assert own == [theirs.budget_schedule(step)[0] for step in range(1, 101)]
    assert (own[0], own[-1], own == sorted(own, reverse=True)) == (12, 4, True)


def test_importance_and_pruning_are_those_of_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adalora, "WARM", 0.0)
    updates = triplets((8, 12, 3), (10, 7, 1))
    theirs, model = allocator(updates, tinit=0, tfinal=50)
    ranks = adalora.Ranks(updates, last=8)
    assert ranks.budgets == (24, 8)
    for step in range(1, 61):
        with_gradients(updates, model)
        ranks.after_step(step, 100)
        if step <= 50:
            theirs.update_ipt(model)
        theirs.mask_to_budget(model, adalora.budget(24, 8, step, 100))
        strengths = [
            getattr(model, f"{name}_{at}").lora_E["default"] for name, at in (("0", 0), ("0", 1), ("0", 2), ("1", 0))
        ]
        expected = torch.cat([one[:, 0] for one in strengths])
        own = torch.cat([one.strength for one in updates.values()])
        assert torch.equal(own == 0, expected == 0), f"step {step}"
        torch.testing.assert_close(own, expected)
        with torch.no_grad():  # an optimiser's step, in which what was pruned comes back
            for one in (*strengths, *(update.strength for update in updates.values())):
                one += 0.5
    assert int((own != 0).sum()) == 8


def test_the_chosen_triplets_stay_chosen_in_the_last_steps() -> None:
    updates = triplets((8, 12, 3), (10, 7, 1))
    ranks = adalora.Ranks(updates, last=8)
    _, model = allocator(updates)
    sets = []
    for step in range(1, 101):
        with_gradients(updates, model)
        with torch.no_grad():
            for one in updates.values():
                one.strength += 1e-3
        ranks.after_step(step, 100)
        sets.append(torch.cat([one.strength for one in updates.values()]) != 0)
    assert [int(one.sum()) for one in sets[:10]] == [24] * 10
    assert all(torch.equal(one, sets[-1]) for one in sets[50:])
    assert int(sets[-1].sum()) == 8


def test_the_penalty_is_that_of_the_paper(make_context: Make) -> None:
    """The mean over the layers of ‖PᵀP - I‖² + ‖QQᵀ - I‖², in the loss and in the gradients."""
    context = make_context()
    encoder = shared(context)
    updates: Any = put_beside(encoder, "adalora", lambda base, parts: adalora.Triplets(base, parts, 4))
    assert max(one.tilt().item() for one in updates.values()) < 1e-8, "orthonormal at first"
    for one in updates.values():
        torch.nn.init.normal_(one.left, std=0.3)
        torch.nn.init.normal_(one.right, std=0.3)
    expected = torch.zeros(())
    for one in updates.values():
        for part in range(one.parts):
            left, right = one.left[part], one.right[4 * part : 4 * part + 4]
            expected = expected + torch.linalg.matrix_norm(left.T @ left - torch.eye(4)) ** 2
            expected = expected + torch.linalg.matrix_norm(right @ right.T - torch.eye(4)) ** 2
    expected = adalora.PENALTY * expected / len(updates)
    model = Model(encoder, context.new_head()).eval()
    feed = Feed(context.train.windows, context.train.wanted, context.backbone.modality.batch)
    index = context.train.windows.owner[:6]
    weights = torch.full((6,), 1 / 6)
    piece = Piece(feed.inputs(index, context.device), feed.truth(index, context.device), weights, model.head.loss)
    moving = [one for one in model.parameters() if one.requires_grad]
    bare = plain(model, piece)
    gradients = [one.grad.clone() for one in moving]
    for one in moving:
        one.grad = None
    whole = adalora.penalised(plain, list(updates.values()))(model, piece)
    torch.testing.assert_close(whole, bare + expected.detach())
    added = torch.autograd.grad(expected, moving, allow_unused=True)
    for one, gradient, more in zip(moving, gradients, added, strict=True):
        torch.testing.assert_close(one.grad, gradient if more is None else gradient + more, atol=1e-5, rtol=1e-4)


def test_what_ships_keeps_to_the_budget(make_context: Make, last_is_best: None) -> None:
    """Also where the moving average, which still holds what was pruned last, is what ships."""
    context = make_context("classify", SETTINGS | {"fit.size": 2, "fit.epochs": 3})
    fitted = adalora.fit(context)
    before = context.backbone.encoder.state_dict()
    matrices = 2 * 6
    assert fitted.facts["budgets"] == [3 * matrices, 2 * matrices]
    ranks = fitted.facts["ranks"]
    assert sum(sum(one) for one in ranks.values()) == 2 * matrices
    found = {}
    for name, value in fitted.encoder.state_dict().items():
        if name.removesuffix(".weight") in ranks:
            parts = (value - before[name]).chunk(len(ranks[name.removesuffix(".weight")]))
            found[name.removesuffix(".weight")] = [int(torch.linalg.matrix_rank(one, atol=1e-6)) for one in parts]
        else:
            assert torch.equal(value, before[name]), f"{name} has moved"
    assert found == ranks
    assert len({tuple(one) for one in ranks.values()}) > 1, "some layers have more than others"


def test_the_count_is_that_of_the_paper(make_context: Make) -> None:
    """r (in + out + 1) for each matrix, r being the first rank."""
    context = make_context("classify", SETTINGS | {"fit.size": 2, "fit.epochs": 1})
    shape = context.backbone.encoder.shape
    sizes = [2 * shape.width] * 4 + [shape.width + shape.inner] * 2
    assert adalora.fit(context).facts["encoder_parameters"] == shape.layers * sum(3 * (one + 1) for one in sizes)


def test_a_training_that_was_killed_goes_on_to_the_same_bits(resumed: Make, last_is_best: None) -> None:
    """The importance is carried through the checkpoint: at step 4 of 10 ranks are still shared out."""
    whole, again = resumed(adalora, SETTINGS, 3)
    assert again.facts["ranks"] == whole.facts["ranks"]
    states = again.encoder.state_dict(), whole.encoder.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_the_bundle_says_what_was_trained_and_hands_over_to_transformers(ship: Make, tmp_path: Path) -> None:
    from transformers import BertModel

    BertModel.from_pretrained(to_hf(ship("adalora"), tmp_path / "hf"))
