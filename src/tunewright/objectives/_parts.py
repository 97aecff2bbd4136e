"""Modules of a model found by their name, and watched while a step runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import nn

Hook = Callable[[nn.Module, Any, Any], Any]
"""(module, inputs, output) → what takes the output's place; None leaves it"""


def named(model: nn.Module, name: str) -> list[nn.Module]:
    """The modules called ``name``, wherever they lie in the model; or those that its modules give by a property."""
    found = [module for path, module in model.named_modules() if path.rpartition(".")[2] == name]
    given = [one for one in model.modules() if isinstance(getattr(type(one), name, None), property)]
    return found or [getattr(one, name) for one in given]


@contextmanager
def watched(modules: Sequence[nn.Module], hook: Hook) -> Iterator[None]:
    """Inside, the hook is called with every output of the modules."""
    with ExitStack() as stack:
        for module in modules:
            stack.callback(module.register_forward_hook(hook).remove)
        yield
