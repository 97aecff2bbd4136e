"""Plots as inline SVG, in both languages, coloured by the page's style: reliability, curve, bars, and an interval."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup, escape

from tunewright.core.types import Exhibit
from tunewright.report.words import Pair, number

Say = Callable[[str], Pair]
"""A text of an audit in both languages."""

WIDTH = 640
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 14, 46
LABEL_UNITS = 34
"""Labels of bars that are wider than this (in halves of a Chinese character) stand above their bar."""


def plot(exhibit: Exhibit, say: Say) -> Markup | None:
    """The plot of an exhibit; None (so that a table is shown) where its form has none or cannot show its rows."""
    draw = FORMS.get(exhibit.form)
    try:
        return draw(exhibit, say) if draw and exhibit.rows else None
    except (ArithmeticError, IndexError, TypeError, ValueError):
        return None


def reliability(exhibit: Exhibit, say: Say) -> Markup:
    """Share right over mean score per bin with its interval, the diagonal, and how many answers each bin has."""
    side, strip = 360, 46
    frame = Frame(side + LEFT + RIGHT, TOP + side + strip + BOTTOM, (0, 1), (0, 1), side, side)
    total = max(row[6] for row in exhibit.rows)
    parts = [frame.grid(ticks(0, 1), ticks(0, 1), base=TOP + side + strip)]
    parts.append(frame.path([(0, 0), (1, 1)], "diagonal"))
    parts.append(frame.path([(row[2], row[3]) for row in exhibit.rows], "line thin"))
    for start, stop, score, right, low, high, n in exhibit.rows:
        tip = f"{number(score)} → {number(right)} ({number(low)}–{number(high)}), n = {n:,}"
        parts.append(frame.path([(score, low), (score, high)], "whisker"))
        parts.append(
            Markup('<circle class="mark" cx="{:.1f}" cy="{:.1f}" r="4"><title>{}</title></circle>').format(
                frame.x(score), frame.y(right), tip
            )
        )
        height = max(1.0, (strip - 8) * n / total)
        parts.append(
            _rect(
                frame.x(start) + 1,
                TOP + side + strip - height,
                frame.x(stop) - frame.x(start) - 2,
                height,
                "faint",
                f"n = {n:,}",
            )
        )
    parts.append(frame.names(say(exhibit.columns[2]), say(exhibit.columns[3]), TOP + side + strip))
    return frame.svg(parts, say(exhibit.title))


def curve(exhibit: Exhibit, say: Say, width: float = WIDTH, height: float = 320) -> Markup:
    """Lines over the first column, one per further column; columns ``low`` and ``high`` are a band."""
    names, rows = exhibit.columns, exhibit.rows
    lines = [at for at, name in enumerate(names) if at and name not in ("low", "high")]
    xs = [row[0] for row in rows]
    ys = [value for row in rows for value in row[1:] if value is not None]
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(ys), max(ys))
    frame = Frame(width, height, (min(xs[0], x_ticks[0]), max(xs[-1], x_ticks[-1])), (y_ticks[0], y_ticks[-1]))
    parts = [frame.grid(x_ticks, y_ticks)]
    if "low" in names and "high" in names:
        low, high = names.index("low"), names.index("high")
        parts.append(frame.band([(row[0], row[low], row[high]) for row in rows]))
    for order, at in enumerate(lines):
        parts.append(frame.path([(row[0], row[at]) for row in rows if row[at] is not None], f"line line{order}"))
    if len(lines) > 1:
        for order, at in enumerate(lines):
            parts.append(_text((LEFT + 8, TOP + 14 + 16 * order), say(names[at]), f"key key{order}"))
    parts.append(frame.names(say(names[0]), say(names[1]) if len(lines) == 1 else ("", "")))
    return frame.svg(parts, say(exhibit.title))


def bars(exhibit: Exhibit, say: Say) -> Markup:
    """One bar per row: label, value, and an interval where the columns ``low`` and ``high`` are there."""
    rows = exhibit.rows
    stacked = max(units(str(row[0])) for row in rows) > LABEL_UNITS
    left, step = (1, 38) if stacked else (16 + 7 * max(units(str(row[0])) for row in rows), 24)
    top = max([0.0, *(value for row in rows for value in row[1:] if value is not None)]) or 1.0
    share = all(isinstance(row[1], float) and row[1] <= 1 for row in rows)
    scale = (WIDTH - left - 66) / (1.0 if share else top)
    parts = []
    for at, row in enumerate(rows):
        base = 6 + at * step
        bar = base + 17 if stacked else base
        anchor = (left, base + 11) if stacked else (left - 8, base + 13)
        parts.append(_label(anchor, str(row[0]), "label" if stacked else "label end", 96 if stacked else LABEL_UNITS))
        parts.append(_rect(left, bar + 3, max(1.0, row[1] * scale), 12, "bar", f"{row[0]}: {number(row[1])}"))
        if len(row) == 4 and row[2] is not None:
            parts.append(_line(left + row[2] * scale, bar + 9, left + row[3] * scale, bar + 9, "whisker"))
        edge = max(row[1], (row[3] or 0) if len(row) == 4 else 0)
        parts.append(_text((left + edge * scale + 6, bar + 13), (number(row[1]),) * 2, "value"))
    height = 10 + len(rows) * step
    return _svg(WIDTH, height, parts, say(exhibit.title))


def interval(value: float | None, low: float | None, high: float | None, limits: Iterable[float] = ()) -> Markup:
    """A small line from 0 to 1 with the value, its interval, and a mark at each limit; empty for other values."""
    numbers = [one for one in (value, low, high) if one is not None]
    if value is None or low is None or high is None or not all(0 <= one <= 1 for one in numbers):
        return Markup("")
    width = 120
    parts = [_line(1, 7, width - 1, 7, "axis"), _rect(low * width, 3, max(3.0, (high - low) * width), 8, "span", "")]
    parts += [_line(limit * width, 0, limit * width, 14, "limit") for limit in limits if 0 <= limit <= 1]
    parts.append(Markup('<circle class="mark" cx="{:.1f}" cy="7" r="2"/>').format(value * width))
    body = Markup("").join(parts)
    return Markup('<svg class="interval" viewBox="0 0 {} 14" aria-hidden="true">{}</svg>').format(width, body)


FORMS: dict[str, Callable[[Exhibit, Say], Markup]] = {"reliability": reliability, "curve": curve, "bars": bars}


class Frame:
    """Axes: where numbers lie on the picture."""

    def __init__(
        self,
        width: float,
        height: float,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        inner_width: float = 0,
        inner_height: float = 0,
    ) -> None:
        self.width, self.height = width, height
        self.x_range, self.y_range = x_range, y_range
        self.inner_width = inner_width or width - LEFT - RIGHT
        self.inner_height = inner_height or height - TOP - BOTTOM

    def x(self, value: float) -> float:
        low, high = self.x_range
        return LEFT + self.inner_width * (value - low) / ((high - low) or 1)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return TOP + self.inner_height * (1 - (value - low) / ((high - low) or 1))

    def grid(self, x_ticks: Sequence[float], y_ticks: Sequence[float], base: float = 0) -> Markup:
        """Lines and numbers; the numbers of x stand below ``base``."""
        bottom, right = TOP + self.inner_height, LEFT + self.inner_width
        base = base or bottom
        parts = [_line(self.x(tick), TOP, self.x(tick), base, "grid") for tick in x_ticks]
        parts += [_line(LEFT, self.y(tick), right, self.y(tick), "grid") for tick in y_ticks]
        parts += [_text((self.x(tick), base + 17), (short(tick),) * 2, "tick mid") for tick in x_ticks]
        parts += [_text((LEFT - 8, self.y(tick) + 4), (short(tick),) * 2, "tick end") for tick in y_ticks]
        parts.append(_line(LEFT, base, right, base, "axis"))
        return Markup("").join(parts)

    def names(self, x_name: Pair, y_name: Pair, base: float = 0) -> Markup:
        """What the axes show."""
        middle = LEFT + self.inner_width / 2
        below = _text((middle, (base or TOP + self.inner_height) + 36), x_name, "name mid")
        place = f'transform="rotate(-90 14 {TOP + self.inner_height / 2:.0f})"'
        beside = _text((14, TOP + self.inner_height / 2), y_name, "name mid", place)
        return below + beside

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> Markup:
        drawn = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        return Markup('<polyline class="{}" points="{}"/>').format(kind, drawn)

    def band(self, points: Sequence[tuple[float, float, float]]) -> Markup:
        up = [(self.x(x), self.y(high)) for x, _, high in points]
        down = [(self.x(x), self.y(low)) for x, low, _ in reversed(points)]
        return Markup('<polygon class="band" points="{}"/>').format(" ".join(f"{x:.1f},{y:.1f}" for x, y in up + down))

    def svg(self, parts: Sequence[Markup], title: Pair) -> Markup:
        return _svg(self.width, self.height, parts, title)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers that enclose the range; around a single value a twentieth of it to each side.

    >>> ticks(0.83, 0.99)
    [0.8, 0.85, 0.9, 0.95, 1.0]
    """
    if not high > low:
        room = abs(low) / 20 if abs(low) > 1e-3 else 0.5
        low, high = low - room, high + room
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(at * step, 10) for at in range(first, last + 1)]


def short(value: float) -> str:
    """A number beside an axis."""
    return f"{value:g}" if abs(value) < 10_000 else f"{value:,.0f}"


def units(text: str) -> int:
    """Width in halves of a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text)


def cut(text: str, limit: int) -> str:
    """The start of a text that fits into ``limit`` units.

    >>> cut("card_payment", 8)
    'card_pa…'
    """
    if units(text) <= limit:
        return text
    kept = ""
    for one in text:
        if units(kept + one) > limit - 1:
            break
        kept += one
    return kept + "…"


def _svg(width: float, height: float, parts: Sequence[Markup], title: Pair) -> Markup:
    head = Markup('<svg class="plot" role="img" aria-label="{}" viewBox="0 0 {:g} {:g}" style="max-width:{:g}px">')
    return head.format(f"{title[0]} / {title[1]}" if title[0] != title[1] else title[0], width, height, width) + (
        Markup("").join(parts) + Markup("</svg>")
    )


def _text(at: tuple[float, float], text: Sequence[str], kind: str, place: str = "") -> Markup:
    english, chinese = text[0], text[1]
    if english == chinese:
        return _one_text(at, english, kind, place)
    return _one_text(at, english, f"{kind} en", place) + _one_text(at, chinese, f"{kind} zh", place)


def _one_text(at: tuple[float, float], text: str, kind: str, place: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" {}>{}</text>').format(kind, *at, Markup(place), text)


def _label(at: tuple[float, float], text: str, kind: str, limit: int) -> Markup:
    shown = cut(text, limit)
    full = Markup("<title>{}</title>").format(text) if shown != text else Markup("")
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}{}</text>').format(kind, *at, escape(shown), full)


def _rect(x: float, y: float, width: float, height: float, kind: str, tip: str) -> Markup:
    head = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="2"')
    body = Markup("><title>{}</title></rect>").format(tip) if tip else Markup("/>")
    return head.format(kind, x, y, width, height) + body


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(kind, x1, y1, x2, y2)
