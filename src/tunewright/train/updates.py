"""Low-rank updates of a network's weights, as tensors of torch; see ``runtime/updates.py`` for their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tunewright.core.types import Array

RIGHT, LEFT, WEIGHT = ".right", ".left", ".weight"
"""What stands behind a layer's name."""


@dataclass(frozen=True)
class Factors:
    """The update of one linear layer: left times right, part by part of its outputs, is added to the weight.

    right : float32 (parts * r, in), those of all parts, one below the other
    left : float32 (parts, out / parts, r)
    """

    right: Tensor
    left: Tensor

    def product(self) -> Tensor:
        """float32 (out, in): what is added to the weight."""
        return self.wide @ self.right

    @property
    def wide(self) -> Tensor:
        """float32 (out, parts * r): the left factors of all parts, zero beside them."""
        return torch.block_diag(*self.left)  # type: ignore[no-any-return,no-untyped-call]

    def trimmed(self) -> Factors:
        """Without what adds nothing, such as triplets whose strength is zero; all parts have one rank, at least 1."""
        parts, _, rank = self.left.shape
        right = self.right.view(parts, rank, -1)
        used = right.any(-1) & self.left.any(1)
        order = torch.argsort(~used, dim=1, stable=True)[:, : max(1, int(used.sum(1).max()))]
        right = torch.stack([one[own] for one, own in zip(right * used[..., None], order, strict=True)])
        left = torch.stack([one[:, own] for one, own in zip(self.left, order, strict=True)])
        return Factors(right.flatten(0, 1), left)


def tensors(updates: Mapping[str, Factors]) -> dict[str, Array]:
    """As a file of updates holds them: layer → its factors, by the names that they have there."""
    out: dict[str, Array] = {}
    for layer, factors in updates.items():
        one = factors.trimmed()
        left = one.left if len(one.left) > 1 else one.left[0]
        out |= {f"{layer}{RIGHT}": one.right.numpy(), f"{layer}{LEFT}": left.numpy()}
    return out


def merged(own: Mapping[str, Tensor], given: Mapping[str, Array]) -> dict[str, Tensor]:
    """The tensors of a network with updates, by their names in a file, added to the weights that they stand beside."""
    out = dict(own)
    for layer in (name.removesuffix(RIGHT) for name in given if name.endswith(RIGHT)):
        left = torch.from_numpy(given[layer + LEFT])
        factors = Factors(torch.from_numpy(given[layer + RIGHT]), left if left.dim() == 3 else left[None])
        out[layer + WEIGHT] = own[layer + WEIGHT] + factors.product()
    return out
