"""Plots: numbers lie where they belong, texts fit, and the picture is well-formed."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewright.core.types import Exhibit
from tunewright.report.plots import LEFT, TOP, Frame, cut, interval, plot, ticks, units
from tunewright.report.words import Pair


def say(text: str) -> Pair:
    return text, f"中{text}"


def drawn(exhibit: Exhibit) -> ET.Element:
    picture = plot(exhibit, say)
    assert picture is not None
    return ET.fromstring(str(picture))


def texts(picture: ET.Element) -> list[str]:
    return [(one.text or "") for one in picture.iter("text")]


def test_a_frame_puts_the_ends_of_its_ranges_on_its_edges() -> None:
    frame = Frame(640, 320, (0, 10), (-1, 1))
    assert (frame.x(0), frame.y(1)) == (LEFT, TOP)
    assert frame.x(10) == LEFT + frame.inner_width
    assert frame.y(-1) == TOP + frame.inner_height


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_ticks_enclose_the_range_with_few_round_numbers(one: float, other: float) -> None:
    low, high = min(one, other), max(one, other)
    if 0 < high - low < 1e-6 * max(1.0, abs(high)):
        return
    found, near = ticks(low, high), 1e-6 * (high - low)
    assert found[0] <= low + near
    assert found[-1] >= high - near
    assert 2 <= len(found) <= 9
    assert found == sorted(found)


def test_reliability_has_a_point_an_interval_and_a_count_per_bin() -> None:
    rows = ((0.0, 0.5, 0.3, 0.25, 0.1, 0.5, 10), (0.5, 1.0, 0.9, 0.8, 0.7, 0.9, 40))
    columns = ("from", "to", "mean score", "share right", "low", "high", "answers")
    picture = drawn(Exhibit("R", "reliability", columns, rows))
    marks = list(picture.iter("circle"))
    frame = Frame(0, 0, (0, 1), (0, 1), 360, 360)
    assert [(float(one.get("cx") or 0), float(one.get("cy") or 0)) for one in marks] == [
        (pytest.approx(frame.x(score), abs=0.06), pytest.approx(frame.y(right), abs=0.06))
        for score, right in ((0.3, 0.25), (0.9, 0.8))
    ]
    assert len(list(picture.iter("rect"))) == 2
    assert {"mean score", "中mean score", "share right", "中share right"} <= set(texts(picture))


def test_a_curve_has_its_line_its_band_and_its_names() -> None:
    rows = tuple((at / 10, 1 - at / 20, 0.9 - at / 20, 1.0) for at in range(11))
    picture = drawn(Exhibit("C", "curve", ("coverage", "accuracy", "low", "high"), rows))
    line = next(picture.iter("polyline"))
    assert len((line.get("points") or "").split()) == 11
    assert len(list(picture.iter("polygon"))) == 1
    assert {"coverage", "中accuracy"} <= set(texts(picture))


def test_several_curves_have_a_key() -> None:
    picture = drawn(Exhibit("C", "curve", ("x", "one", "two"), ((0.0, 1.0, 2.0), (1.0, 2.0, None))))
    assert len(list(picture.iter("polyline"))) == 2
    assert {"one", "two", "中two"} <= set(texts(picture))


def test_bars_are_as_long_as_their_values() -> None:
    picture = drawn(Exhibit("B", "bars", ("what", "rows"), (("a", 10), ("b", 5))))
    long, short = (float(one.get("width") or 0) for one in picture.iter("rect"))
    assert long == pytest.approx(2 * short)
    assert {"a", "b", "10", "5"} <= set(texts(picture))


def test_long_and_chinese_labels_fit_and_keep_their_full_name() -> None:
    name = "查询汇款到账时间的客户意图" * 12
    picture = drawn(Exhibit("B", "bars", ("what", "rows"), ((name, 10),)))
    label = next(picture.iter("text"))
    assert (label.text or "").endswith("…")
    assert units(label.text or "") <= 96
    assert next(label.iter("title")).text == name


def test_markup_in_labels_is_escaped() -> None:
    picture = drawn(Exhibit("<t>", "bars", ("w", "n"), (("<script>", 1),)))
    assert "<script>" in texts(picture)


def test_tables_and_empty_exhibits_have_no_plot() -> None:
    assert plot(Exhibit("T", "table", ("a",), ((1,),)), say) is None
    assert plot(Exhibit("T", "bars", ("a", "b"), ()), say) is None


@pytest.mark.parametrize("form", ["reliability", "curve", "bars"])
def test_rows_that_a_form_cannot_show_are_left_to_the_table(form: str) -> None:
    assert plot(Exhibit("T", form, ("a", "b"), (("x", "y"), ("z",))), say) is None


def test_a_constant_curve_and_zero_bars_can_be_drawn() -> None:
    drawn(Exhibit("C", "curve", ("x", "y"), ((0.0, 0.5),)))
    drawn(Exhibit("B", "bars", ("x", "y"), (("a", 0), ("b", 0))))


def test_an_interval_is_drawn_for_shares_only() -> None:
    picture = ET.fromstring(str(interval(0.5, 0.25, 0.75, [0.9])))
    span = next(picture.iter("rect"))
    assert (float(span.get("x") or 0), float(span.get("width") or 0)) == (30, 60)
    assert [one.get("x1") for one in picture.iter("line") if one.get("class") == "limit"] == ["108.0"]
    assert interval(2.0, 1.0, 3.0) == ""
    assert interval(None, None, None) == ""


@given(st.text(max_size=60), st.integers(2, 40))
def test_a_cut_text_is_never_too_wide(text: str, limit: int) -> None:
    assert units(cut(text, limit)) <= limit
