"""Ways to explain by name, and what is said where a library is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tunewright.core.errors import MissingExtra, TunewrightError
from tunewright.pipeline import explainers
from tunewright.pipeline.explainers import METHODS, explainer


def test_every_method_has_its_own_name(tiny_bundle: Path) -> None:
    found = [explainer(name, tiny_bundle) for name in METHODS]
    assert [one if isinstance(one, str) else one.name for one in found] == ["occlusion", "lime", "shap", "ig"]


def test_an_unknown_one_names_the_nearest() -> None:
    with pytest.raises(TunewrightError, match="there is no way to explain named 'lame' → did you mean 'lime'"):
        explainer("lame", Path("b"))


@pytest.mark.parametrize(
    ("method", "module", "library", "extra"),
    [
        ("shap", "tunewright.audit._shapley", "shap", "audit"),
        ("ig", "tunewright.train.integrated", "captum", "audit"),
        ("ig", "tunewright.train.rebuild", "torch", "train"),
    ],
)
def test_a_missing_library_names_the_command(
    method: str, module: str, library: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [library, *(one for one in sys.modules if library != "torch" and one.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    package, _, name = module.rpartition(".")
    monkeypatch.delattr(sys.modules[package], name, raising=False)
    with pytest.raises(MissingExtra, match=rf"needs {library}[.a-z]*, which is not installed.*tunewright\[{extra}\]"):
        explainers.explainer(method, Path("b"))
