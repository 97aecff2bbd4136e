"""The report in a real browser: what the first screen shows, the switch of language, and what is printed."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tunewright import report
from tunewright.core.types import Exhibit, Finding
from tunewright.report.html import page

NEW = "novelty_of_tomorrow"
A4 = (595, 842)


@pytest.fixture(scope="module")
def address(about: dict[str, Any], findings: list[Finding], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of all findings and those of an audit that the report has never heard of."""
    shown = Exhibit("How new it is", "bars", ("row", "share"), (("all", 0.5),))
    new = Finding(NEW, "freshness", 0.42, 0.4, 0.45, 200, limit=">= 0.4", passed=True, exhibits=(shown,))
    found = [*findings, new, Finding("unheard_of", "x", None, note="not run, because there are no rows")]
    path: Path = tmp_path_factory.mktemp("pages") / "report.html"
    path.write_text(page(report.record(about, found), found), encoding="utf-8")
    return path.as_uri()


def find(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def test_the_first_screen_shows_every_gate(browser: Callable[..., Any], address: str) -> None:
    with browser() as driver:
        driver.get(address)
        rows = find(driver, ".first table").find_elements("css selector", "tbody tr")
        assert [find(row, ".badge").text for row in rows] == ["missed", "holds", "holds"]
        assert rows[-1].rect["y"] + rows[-1].rect["height"] < driver.execute_script("return window.innerHeight")
        assert find(driver, ".first .stamp").text == "Refused"


def test_a_new_audit_is_in_the_contents_and_has_its_section(browser: Callable[..., Any], address: str) -> None:
    with browser() as driver:
        driver.get(address)
        links = {one.text: one for one in driver.find_elements("css selector", ".contents li")}
        assert "Novelty of tomorrow holds" in {" ".join(text.split()) for text in links}
        assert "Unheard of not run" in {" ".join(text.split()) for text in links}
        find(driver, f'.contents a[href="#{NEW}"]').click()
        section = find(driver, f"section#{NEW}")
        assert section.is_displayed()
        for said in ("Freshness", "0.420", "0.400–0.450", "How new it is"):
            assert said in section.text
        assert find(section, "svg.plot").is_displayed()


def test_the_switch_changes_the_language(browser: Callable[..., Any], address: str) -> None:
    with browser() as driver:
        driver.get(address)
        find(driver, 'label[for="lang-zh"]').click()
        assert find(driver, ".first .stamp").text == "已拒绝"
        assert find(driver, ".contents h2").text == "目录"
        assert "Refused" not in find(driver, "body").text


def test_a_narrow_screen_needs_no_sideways_scrolling(browser: Callable[..., Any], address: str) -> None:
    with browser(width=500) as driver:
        driver.get(address)
        assert driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_it_prints_on_several_pages_of_a4(browser: Callable[..., Any], address: str) -> None:
    with browser() as driver:
        driver.get(address)
        options = {"preferCSSPageSize": True, "printBackground": True}
        printed = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", options)["data"])
    assert printed.startswith(b"%PDF")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 1
    box = re.search(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", printed)
    assert box is not None
    assert (round(float(box[1])), round(float(box[2]))) == A4
