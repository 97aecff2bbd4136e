"""Fewer layers, attention heads and feed-forward neurons, and a short training that recovers what they did.

What is worth least goes, by the first-order change of the loss on training rows, or by the size of the weights
(``compress.importance``). Every layer keeps as many heads and neurons as the others, though not the same ones, so that
the file shrinks and every product becomes smaller. Then the network learns from the bundle as it was.

Sources: Molchanov et al. 2019 (CVPR); Michel, Levy and Neubig 2019; Sanh et al. 2020, for recovery by distillation.
"""

from __future__ import annotations

from dataclasses import dataclass

from tunewright.backbones._encoder import Encoder
from tunewright.compress._copy import Copy
from tunewright.compress._narrow import Worth, by_magnitude, by_taylor, kept, narrowed, plain_layers
from tunewright.compress._network import head_of, lessons_of, network_of, put_back, training
from tunewright.compress._teaching import recovered, settings_of, taught
from tunewright.core.errors import TunewrightError
from tunewright.train.course import Model
from tunewright.train.fitted import Fitted

LEARNS = True
EPOCHS = 4
RATE = 2e-4
GRAIN = 8
"""Neurons are kept in groups of so many, which products are computed in."""


@dataclass(frozen=True)
class How:
    """Which share of the layers, heads and neurons stays."""

    layers: float = 1.0
    heads: float = 1.0
    inner: float = 1.0


WAYS = {
    "half of the layers": How(layers=0.5),
    "half of the heads and neurons": How(heads=0.5, inner=0.5),
    "two thirds of the heads and neurons": How(heads=2 / 3, inner=2 / 3),
    "three quarters of the neurons": How(inner=0.75),
}
SETTINGS = tuple(WAYS)


def run(copy: Copy, setting: str) -> None:
    """Cut the encoder, train it, and put it in the place of the whole one.

    Raises
    ------
    TunewrightError
        The bundle has no weights that can be trained, its encoder is of another make, or there are no rows to learn
        from.
    """
    lessons = lessons_of(copy, "prune")
    network = network_of(copy.folder, "prune")
    encoder = plain_layers(network.backbone.encoder, "prune")
    asked = lessons.task.compress
    with training(copy, lessons, network.backbone, network.found, epochs=EPOCHS) as (context, _):
        whole = Model(context.copy_of_encoder(), head_of(context, network))
        worth = by_magnitude(encoder) if asked.importance == "magnitude" else by_taylor(context, whole)
    small = cut(encoder, worth, WAYS[setting])
    backbone = network.narrowed_to(small)
    with training(copy, lessons, backbone, network.found, epochs=EPOCHS) as (context, told):
        model = Model(context.copy_of_encoder(), head_of(context, network))
        best, facts = taught(context, model, told, name="prune", rate=RATE, temperature=asked.temperature)
        copy.notes.append(_said(encoder, small, f"by {asked.importance}"))
        copy.notes.append(recovered(context, best, facts))
        method = {name: one for name, one in copy.manifest.method.items() if name not in ("name", "compressed")}
        method |= {"recovery": settings_of(facts)}
        whole_again = context.whole(model.encoder)
        put_back(copy, context, Fitted(copy.manifest.method["name"], whole_again, model.head, best.outputs, method))


def cut(encoder: Encoder, worth: Worth, how: How) -> Encoder:
    """The smaller encoder.

    Raises
    ------
    TunewrightError
        It has so few layers or heads that nothing can go.
    """
    shape = encoder.shape
    layers, heads = max(1, int(how.layers * shape.layers)), max(1, int(how.heads * shape.heads))
    inner = max(GRAIN, int(how.inner * shape.inner) // GRAIN * GRAIN)
    if (layers, heads, inner) == (shape.layers, shape.heads, shape.inner):
        raise TunewrightError("prune has nothing to take away: the encoder is as small as it gets", "leave prune out")
    return narrowed(encoder, worth, kept(worth.layers, layers), heads, inner)


def _said(whole: Encoder, small: Encoder, how: str) -> str:
    names = ("layers", "heads", "inner")
    layers, heads, inner = (f"{getattr(small.shape, one):,} of {getattr(whole.shape, one):,}" for one in names)
    return f"{layers} layers, {heads} heads and {inner} neurons in each of them stay, {how}"
