"""Explanations as a page that opens from disk, and as coloured text in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup
from rich.text import Text

from tunewright.data.language import dominant
from tunewright.report import words
from tunewright.report.html import both, environment
from tunewright.report.words import Pair
from tunewright.runtime.explain import Explanation
from tunewright.runtime.pieces import Piece, segments

Near = Mapping[str, Any]
"""A training row: ``place``, ``similarity``, ``texts`` by column and ``labels`` by target."""

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
    "shap: a piece's share of the log-odds of the label (Owen values: neighbours are halved in turn)": (
        "SHAP：一个片段在标签对数几率中所占的份额（Owen 值：相邻片段逐次对半分开）"
    ),
    "shap: a piece's share of the number (Owen values: neighbours are halved in turn)": (
        "SHAP：一个片段在数值中所占的份额（Owen 值：相邻片段逐次对半分开）"
    ),
    "ig: what a piece adds to the log-odds of the label on the way from blank tokens (integrated gradients)": (
        "积分梯度：从空白词元走到原文，一个片段给标签的对数几率增加多少"
    ),
    "ig: what a piece adds to the number on the way from blank tokens (integrated gradients)": (
        "积分梯度：从空白词元走到原文，一个片段给数值增加多少"
    ),
    "without any words it is {}, to which the weights are added": "没有任何词时为 {}，各权重加在其上",
}


def notes(one: Explanation) -> list[str]:
    """What the weights are, and what has to be known to read them."""
    what = "the log-odds of the label" if one.label is not None else "the number"
    rest = "them" if one.label is not None else "it"
    loses = "lose" if one.label is not None else "loses"
    meaning = {
        "occlusion": f"what {what} {loses} when a piece is left out",
        "lime": f"what a piece adds to {what}, in a linear picture of {rest}",
        "shap": f"a piece's share of {what} (Owen values: neighbours are halved in turn)",
        "ig": f"what a piece adds to {what} on the way from blank tokens (integrated gradients)",
    }
    told = [f"{one.method}: {meaning[one.method]}"]
    if one.words > len(one.pieces):
        told.append(f"{one.words} words stand in {len(one.pieces)} pieces: neighbours are left out together")
    if one.r2 is not None:
        told.append(f"a sum of weights describes {max(one.r2, 0) * 100:.0f} % of how the answers differ (R²)")
    if one.base is not None:
        told.append(f"without any words it is {one.base:.3f}, to which the weights are added")
    return told


def strongest(one: Explanation) -> list[Piece]:
    """The pieces, the largest weight of either sign first."""
    return sorted(one.pieces, key=lambda piece: -abs(piece.weight))


def page(name: str, texts: Mapping[str, str], found: Sequence[Explanation], near: Sequence[Near] = ()) -> str:
    """The page as HTML, without network or script.

    name : of the bundle
    texts : input column → the text
    near : the training rows that are most like it: ``place``, ``similarity``, ``texts`` and ``labels`` of each
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
            near=_rows_near(near),
            near_columns=("similarity", *_headings_near(near)),
            translate=_heading,
        )
    )


def terminal(
    texts: Mapping[str, str], found: Sequence[Explanation], top: int, near: Sequence[Near] = ()
) -> Iterator[Text]:
    """Lines for a terminal: of each explanation the answer, the coloured text, and the ``top`` strongest pieces; then
    the nearest training rows."""
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
    if near:
        yield Text("nearest training rows", "dim")
    for similarity, *cells in _rows_near(near):
        yield Text.assemble(
            f"  {similarity:6.3f}  ", *[part for cell in cells for part in ("–" if cell is None else str(cell), "  ")]
        )


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


def _headings_near(near: Sequence[Near]) -> list[str]:
    first = near[0] if near else {"labels": {}, "texts": {}}
    return [*first["labels"], *first["texts"], "place"]


def _rows_near(near: Sequence[Near]) -> list[list[Any]]:
    """Similarity, the labels, the texts on one line, the place."""
    return [
        [
            one["similarity"],
            *(" | ".join(map(str, value)) if isinstance(value, list) else value for value in one["labels"].values()),
            *(" ".join(str(text or "").split()) for text in one["texts"].values()),
            one["place"],
        ]
        for one in near
    ]


def _heading(column: str) -> Pair:
    known = {"piece": ("Piece", "片段"), "weight": ("Weight", "权重")}
    known |= {"similarity": ("Similarity", "相似度"), "place": ("Place", "位置")}
    return known.get(column, (column, column))
