"""A bundle's network as torch modules again, from the tensors in its ``weights/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tunewright.core import plugins
from tunewright.core.bundle import Manifest, read_manifest, verify
from tunewright.core.errors import TunewrightError
from tunewright.core.types import Kind
from tunewright.heads._pooled import PooledLinear
from tunewright.modalities.text import Text
from tunewright.runtime.redrawn import drawn_like, reads
from tunewright.runtime.updates import read
from tunewright.train.updates import merged

TRAINABLE = frozenset({"vocabulary", "prune", "distill"})
"""Steps of compression after which the weights are those of a network that can be trained."""
LINEAR = "pooled.linear."
"""Where a pooled head has its weight and bias."""
REMEDY = "use --method occlusion, lime or shap, which ask the graphs"


@dataclass(frozen=True)
class Rebuilt:
    """A text encoder and its pooled heads, not to be trained.

    encoder : input_ids, attention_mask (b, t) → states (b, t, d), mask (b, t); its word table is ``words``
    heads : target → states, mask → logits (b, k)
    """

    manifest: Manifest
    modality: Text
    kinds: Mapping[str, Kind]
    encoder: nn.Module
    heads: Mapping[str, nn.Module]


def rebuild(folder: Path, seed: int | None = None) -> Rebuilt:
    """The network of a bundle.

    seed : draw every tensor anew, as ``redrawn`` does for the graphs

    Raises
    ------
    TunewrightError
        The bundle has no weights, reads something other than tokens, or its head does not pool.
    """
    manifest = read_manifest(folder)
    if set(manifest.inputs.values()) != {"text"}:
        read = ", ".join(sorted(set(manifest.inputs.values())))
        raise TunewrightError(f"{folder}: gradients are those of a text encoder, and this bundle reads {read}", REMEDY)
    done = [one["step"] for one in manifest.method.get("compressed", ())]
    if set(done) - TRAINABLE:
        raise TunewrightError(f"{folder}: the bundle is compressed ({', '.join(done)}), so it has no gradients", REMEDY)
    names = [*manifest.encoder, *(f"head.{one['name']}" for one in manifest.targets)]
    files = [path for name in names for path in manifest.parts[name].files[1:]]
    if not files or not all((folder / path).is_file() for path in files):
        raise TunewrightError(f"{folder}: the bundle has no weights beside its graphs, so no gradients", REMEDY)
    verify(folder, manifest, files)
    modality = plugins.load("modalities", "text").load(manifest.modalities["text"], folder / "modality" / "text")
    kinds = {one["name"]: plugins.load("kinds", one["kind"]).load(one["spec"]) for one in manifest.targets}
    encoder = _encoder(folder, manifest, seed)
    heads = {name: _head(folder, manifest, name, kind, seed) for name, kind in kinds.items()}
    for module in (encoder, *heads.values()):
        module.eval().requires_grad_(False)
    return Rebuilt(manifest, modality, kinds, encoder, heads)


def encoder_of(folder: Path, manifest: Manifest) -> dict[str, Tensor]:
    """The tensors of a bundle's whole encoder, which may be in two parts."""
    return _encoder_tensors(folder, manifest, None)


def tensors_of(folder: Path, manifest: Manifest, part: str) -> dict[str, Tensor]:
    """The tensors of one part of a bundle."""
    return {name: value for data in manifest.parts[part].data for name, value in load_file(folder / data).items()}


def _drawn(folder: Path, manifest: Manifest, part: str, seed: int | None) -> dict[str, Tensor]:
    """The tensors of a part, or with a seed those that ``redrawn`` puts in their place."""
    tensors = tensors_of(folder, manifest, part)
    if seed is None:
        return tensors
    graph = (folder / manifest.parts[part].file).read_bytes()
    changed = [name for name, one in tensors.items() if one.is_floating_point() and reads(graph, name)]
    return tensors | {name: torch.from_numpy(drawn_like(tensors[name].numpy(), name, seed)) for name in changed}


def _encoder_tensors(folder: Path, manifest: Manifest, seed: int | None) -> dict[str, Tensor]:
    """Of all its parts, updates merged into the weights that they stand beside."""
    out: dict[str, Tensor] = {}
    for name in manifest.encoder:
        file = manifest.parts[name].updates
        given = read(folder / file) if file else {}
        drawn = given if seed is None else {one: drawn_like(value, one, seed) for one, value in given.items()}
        out |= merged(_drawn(folder, manifest, name, seed), drawn)
    return out


def _encoder(folder: Path, manifest: Manifest, seed: int | None) -> nn.Module:
    about, method = manifest.backbone, manifest.method["name"]
    known = about["family"] in plugins.names("backbones")
    family: Any = plugins.load("backbones", about["family"]) if known else None
    if not hasattr(family, "encoder"):
        raise TunewrightError(f"{folder}: an encoder of family {about['family']!r} has no gradients here", REMEDY)
    tensors = _encoder_tensors(folder, manifest, seed)
    with torch.device("meta" if about["family"] != "automodel" else "cpu"):  # such modules have tables of their own
        encoder = family.encoder(about["config"])
        plugin: Any = plugins.load("methods", method) if method in plugins.names("methods") else None
        if hasattr(plugin, "rebuilt"):
            encoder = plugin.rebuilt(encoder, tensors)
    _put(folder, encoder, tensors, "encoder")
    return encoder  # type: ignore[no-any-return]


def _head(folder: Path, manifest: Manifest, target: str, kind: Kind, seed: int | None) -> nn.Module:
    tensors = _drawn(folder, manifest, f"head.{target}", seed)
    if set(tensors) != {LINEAR + "weight", LINEAR + "bias"}:
        raise TunewrightError(f"{folder}: the head of {target!r} is none that pools the tokens' states", REMEDY)
    size, width = tensors[LINEAR + "weight"].shape
    head = PooledLinear(width, size, manifest.backbone["pooling"])
    own = {name.removeprefix("pooled."): one for name, one in tensors.items()}
    _put(folder, head, own, f"head of {target!r}")
    return head


def _put(folder: Path, module: Any, tensors: Mapping[str, Tensor], what: str) -> None:
    try:
        module.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        said = str(error).strip().splitlines()[-1].strip()
        raise TunewrightError(f"{folder}: the weights of its {what} do not fit: {said}", REMEDY) from None
