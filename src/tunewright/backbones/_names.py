"""What a family calls the tensors of an encoder, from theirs to ours and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from tunewright.backbones._encoder import Shape


@dataclass(frozen=True)
class Names:
    """What a family calls the tensors of an encoder; ``{}`` stands for the layer's number."""

    words: str
    positions: str
    types: str
    norm: str
    query: str
    key: str
    value: str
    out: str
    attention_norm: str
    up: str
    down: str
    layer_norm: str
    prefixes: tuple[str, ...] = ()

    def own(self, found: Mapping[str, Tensor], shape: Shape) -> dict[str, Tensor]:
        """The family's tensors under our names, query, key and value joined; a missing one is a KeyError."""
        for prefix in self.prefixes:
            if f"{prefix}{self.words}.weight" in found:
                found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
        out = {f"{own}.weight": found[f"{theirs}.weight"] for own, theirs in self._tables(shape)}
        for own, theirs in self._pairs(shape):
            for end in ("weight", "bias"):
                parts = [found[f"{one}.{end}"] for one in theirs]
                out[f"{own}.{end}"] = torch.cat(parts) if len(parts) > 1 else parts[0]
        return out

    def theirs(self, own: Mapping[str, Tensor], shape: Shape) -> dict[str, Tensor]:
        """The inverse of ``own``."""
        out = {f"{theirs}.weight": own[f"{ours}.weight"] for ours, theirs in self._tables(shape)}
        for ours, theirs in self._pairs(shape):
            for end in ("weight", "bias"):
                parts = own[f"{ours}.{end}"].chunk(len(theirs))
                out |= {f"{one}.{end}": part.contiguous() for one, part in zip(theirs, parts, strict=True)}
        return out

    def _tables(self, shape: Shape) -> list[tuple[str, str]]:
        tables = [("words", self.words), ("positions", self.positions), ("types", self.types)]
        return tables if shape.types else tables[:2]

    def _pairs(self, shape: Shape) -> list[tuple[str, tuple[str, ...]]]:
        pairs: list[tuple[str, tuple[str, ...]]] = [("norm", (self.norm,))]
        for number in range(shape.layers):
            layer = {
                "qkv": (self.query, self.key, self.value),
                "out": (self.out,),
                "attention_norm": (self.attention_norm,),
                "up": (self.up,),
                "down": (self.down,),
                "norm": (self.layer_norm,),
            }
            pairs += [
                (f"layers.{number}.{own}", tuple(one.format(number) for one in theirs)) for own, theirs in layer.items()
            ]
        return pairs
