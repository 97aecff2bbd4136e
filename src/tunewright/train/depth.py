"""Layer-wise step sizes: the deeper a parameter lies, the smaller its steps."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from tunewright.train.course import Groups

NUMBER = re.compile(r"(?:^|\.)(\d+)(?:\.|$)")
"""The first number in a parameter's name is that of its layer."""


def by_depth(decay: float) -> Groups:
    """The optimiser's groups with a ``share`` of the step size each: ``decay`` to the power of the depth.

    Depth 0 is the head, 1 the last layer, and the embeddings (what of the encoder has no number) lie one below the
    first layer. Matrices decay; biases and norms do not. Source: Howard and Ruder 2018, discriminative fine-tuning.
    """

    def groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
        found: dict[tuple[int, bool], list[nn.Parameter]] = {}
        moving = {name: one for name, one in model.named_parameters() if one.requires_grad}
        for name, depth in depths(list(moving)).items():
            found.setdefault((depth, moving[name].ndim >= 2), []).append(moving[name])
        return [
            {"params": params, "weight_decay": weight_decay if matrix else 0.0, "share": decay**depth}
            for (depth, matrix), params in sorted(found.items())
        ]

    return groups


def depths(names: list[str]) -> dict[str, int]:
    """Depth of each parameter of a model of encoder and head.

    >>> depths(["encoder.words.weight", "encoder.layers.0.up.bias", "encoder.layers.1.up.bias", "head.linear.bias"])
    {'encoder.words.weight': 3, 'encoder.layers.0.up.bias': 2, 'encoder.layers.1.up.bias': 1, 'head.linear.bias': 0}
    """
    numbers = {name: int(found[1]) for name in names if not _of_head(name) and (found := NUMBER.search(name))}
    layers = max(numbers.values(), default=-1) + 1
    return {name: 0 if _of_head(name) else layers - numbers.get(name, -1) for name in names}


def _of_head(name: str) -> bool:
    return name.startswith("head.")
