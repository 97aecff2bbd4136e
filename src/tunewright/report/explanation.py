"""Explanations as a page that opens from disk, and as coloured text in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup
from rich.text import Text

from tunewright.data.language import dominant
from tunewright.report import words
from tunewright.report.html import both, environment
from tunewright.report.words import Pair
from tunewright.runtime.explain import Explanation
from tunewright.runtime.pieces import Piece, segments

SHADES = ((0.66, "bold reverse {}"), (0.33, "bold {}"), (0.1, "{}"))
"""From which share of the strongest weight a piece is coloured how, in a terminal."""

ZH = {
    "{} words stand in {} pieces: neighbours are left out together": "{} 个词合为 {} 个片段：相邻的词一同去掉",
    "a sum of weights describes {} % of how the answers differ (R²)": "权重之和能说明答案差异的 {}%（R²）",
    "occlusion: what the log-odds of the label lose when a piece is left out": (
        "遮挡法：去掉一个片段后，标签的对数几率减少多少"
    ),
    "occlusion: what the number loses when a piece is left out": "遮挡法：去掉一个片段后，数值减少多少",
    "lime: what a piece adds to the log-odds of the label, in a linear picture of them": (
        "LIME：在线性近似中，一个片段给标签的对数几率增加多少"
    ),
    "lime: what a piece adds to the number, in a linear picture of it": "LIME：在线性近似中，一个片段给数值增加多少",
}


def notes(one: Explanation) -> list[str]:
    """What the weights are, and what has to be known to read them."""
    what = "the log-odds of the label" if one.label is not None else "the number"
    rest = "them" if one.label is not None else "it"
    loses = "lose" if one.label is not None else "loses"
    told = [
        f"occlusion: what {what} {loses} when a piece is left out"
        if one.method == "occlusion"
        else f"{one.method}: what a piece adds to {what}, in a linear picture of {rest}"
    ]
    if one.words > len(one.pieces):
        told.append(f"{one.words} words stand in {len(one.pieces)} pieces: neighbours are left out together")
    if one.r2 is not None:
        told.append(f"a sum of weights describes {max(one.r2, 0) * 100:.0f} % of how the answers differ (R²)")
    return told


def strongest(one: Explanation) -> list[Piece]:
    """The pieces, the largest weight of either sign first."""
    return sorted(one.pieces, key=lambda piece: -abs(piece.weight))


def page(name: str, texts: Mapping[str, str], found: Sequence[Explanation]) -> str:
    """The page as HTML, without network or script.

    name : of the bundle
    texts : input column → the text
    """
    return (
        environment()
        .get_template("explanation.html.j2")
        .render(
            name=name,
            found=found,
            language="zh" if dominant(list(texts.values())) == "zh" else "en",
            columns=texts,
            marked=lambda one, column: _marked(one, column, texts[column]),
            notes=lambda one: [_note(text) for text in notes(one)],
            rows=lambda one: [(piece.text, piece.weight) for piece in strongest(one)],
            translate=_heading,
        )
    )


def terminal(texts: Mapping[str, str], found: Sequence[Explanation], top: int) -> Iterator[Text]:
    """Lines for a terminal: of each explanation the answer, the coloured text, and the ``top`` strongest pieces."""
    for one in found:
        answer = f"{one.score:.4g}" if one.label is None else f"{one.label}  {one.score:.4f}"
        yield Text.assemble((one.target, "dim"), "  ", (answer, "bold"))
        for column, text in texts.items():
            yield _coloured(one, column, text)
        width = max((len(piece.text) for piece in strongest(one)[:top]), default=0)
        for piece in strongest(one)[:top]:
            yield Text.assemble(f"  {piece.weight:+9.3f}  ", (f"{piece.text:<{width}}", _style(one, piece)))
        for text in notes(one):
            yield Text(f"  {text}", "dim")


def _coloured(one: Explanation, column: str, text: str) -> Text:
    own = [piece for piece in one.pieces if piece.column == column]
    out = Text("  ")
    for part, piece in segments(text, own):
        out.append(part, _style(one, piece) if piece is not None else "")
    return out


def _style(one: Explanation, piece: Piece) -> str:
    colour = "green" if piece.weight > 0 else "red"
    share = _share(one, piece)
    return next((style.format(colour) for least, style in SHADES if share >= least), "")


def _share(one: Explanation, piece: Piece) -> float:
    """The weight's size as a share of the strongest one."""
    most = max(abs(each.weight) for each in one.pieces)
    return abs(piece.weight) / most if most > 0 else 0.0


def _marked(one: Explanation, column: str, text: str) -> Markup:
    """The text with a coloured mark around every piece; everything of the text is escaped."""
    own = [piece for piece in one.pieces if piece.column == column]
    mark = Markup('<mark class="{}" style="--share:{}%" title="{}">{}</mark>')
    return Markup("").join(
        part
        if piece is None
        else mark.format(
            "for" if piece.weight > 0 else "against",
            round(70 * _share(one, piece)),
            f"{piece.weight:+.3f}",
            part,
        )
        for part, piece in segments(text, own)
    )


def _note(text: str) -> Markup:
    return both((text, words.translate(text, ZH)))


def _heading(column: str) -> Pair:
    return {"piece": ("Piece", "片段"), "weight": ("Weight", "权重")}[column]
