"""The pages in a real browser that reaches nothing but the service."""

from __future__ import annotations

import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from tunewright.serve.pages import site

Running = Callable[..., Any]
Browser = Callable[..., Any]


@contextmanager
def page(running: Running, browser: Browser, path: str = "/", **options: Any) -> Iterator[Any]:
    """A driver at the page; in the end nothing may have been refused by the policy or looked for elsewhere."""
    with running() as (_, address), browser(**options) as driver:
        driver.get(address + path)
        yield driver
        assert not [entry for entry in driver.get_log("browser") if "Content Security Policy" in entry["message"]]
        names = driver.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
        assert names
        assert all(name.startswith((address, "data:")) for name in names)


def wait(driver: Any, condition: Callable[[Any], Any]) -> Any:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(driver, 15).until(condition)


def find(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def ask(driver: Any, text: str) -> None:
    area = find(driver, "textarea")
    area.clear()
    area.send_keys(text)
    find(driver, "#send").click()


def test_an_answer_shows_label_score_candidates_id_and_latency(running: Running, browser: Browser) -> None:
    with page(running, browser) as driver:
        assert find(driver, "#send").text == "Predict"
        ask(driver, "i lost my card")
        wait(driver, lambda _: find(driver, "#answer").is_displayed())
        assert find(driver, ".decided").text == "card lost"
        assert re.fullmatch(r"\d+\.\d %", find(driver, ".sure output").text)
        bar, fill = find(driver, ".sure .track"), find(driver, ".sure .fill")
        wait(
            driver,
            lambda _: (
                abs(100 * fill.size["width"] / bar.size["width"] - float(find(driver, ".sure output").text[:-2])) < 3
            ),
        )
        assert len(driver.find_elements("css selector", ".list .name")) == 4
        facts = find(driver, ".facts").text
        assert re.search(r"Prediction\n[0-9a-f]{32}\n", facts)
        assert re.search(r"Latency\n\d+\.\d ms", facts)
        assert not find(driver, "#problem").is_displayed()


def test_the_browsers_language_chooses_and_the_switch_changes_it(running: Running, browser: Browser) -> None:
    with page(running, browser, language="zh-CN") as driver:
        assert find(driver, "#send").text == "预测"
        assert find(driver, "html").get_attribute("lang") == "zh-CN"
        ask(driver, "")
        wait(driver, lambda _: find(driver, ".decided").text == "没有答案: 文本为空")
        find(driver, "[data-language=en]").click()
        assert find(driver, ".decided").text == "No answer: the text is empty"
        driver.refresh()
        assert find(driver, "#send").text == "Predict"  # the choice is kept
        assert find(driver, "html").get_attribute("lang") == "en"


def test_an_error_shows_problem_and_remedy(running: Running, browser: Browser) -> None:
    with page(running, browser) as driver:
        ask(driver, "refused")
        wait(driver, lambda _: find(driver, "#problem").is_displayed())
        assert find(driver, "#problem-text").get_property("textContent") == "row 0: it is refused"
        assert find(driver, "#remedy-text").get_property("textContent") == "send another one"
        ask(driver, "broken")
        wait(driver, lambda _: find(driver, "#problem-text").get_property("textContent") == "internal error")


def test_a_text_is_never_read_as_html(running: Running, browser: Browser) -> None:
    with page(running, browser) as driver:
        ask(driver, "<img src=x onerror=\"document.title='broken'\"> refund's")
        wait(driver, lambda _: find(driver, "#answer").is_displayed())
        assert "<img" in find(driver, "#curl").text
        assert driver.find_elements("css selector", "#curl img") == []
        assert driver.title == "topics · Tunewright"


def test_the_other_bundle_shows_both_its_targets(running: Running, browser: Browser) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import Select

    with page(running, browser) as driver:
        Select(find(driver, "#bundle")).select_by_visible_text("both")
        area = find(driver, "textarea")
        area.send_keys("when does the refund arrive")
        area.send_keys(Keys.CONTROL, Keys.ENTER)
        wait(driver, lambda _: find(driver, "#answer").is_displayed())
        assert [one.text for one in driver.find_elements("css selector", ".target-name")] == ["topic", "mood"]
        assert [one.text for one in driver.find_elements("css selector", ".decided")] == ["refund", "calm"]
        assert "/v1/both/predict" in find(driver, "#curl").text


def test_the_request_shown_is_one_that_works(running: Running, browser: Browser) -> None:
    import subprocess

    with page(running, browser) as driver:
        find(driver, "textarea").send_keys('where\'s my "refund"?')
        command = find(driver, "#curl").get_property("textContent")
        out = subprocess.run(
            ["bash", "-c", command.replace("curl ", "curl -sS ", 1)], capture_output=True, text=True, check=True
        )
        assert '"label":"refund"' in out.stdout


def test_a_narrow_screen_needs_no_sideways_scrolling(running: Running, browser: Browser) -> None:
    with page(running, browser, width=500) as driver:
        assert driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_the_documentation_works_without_a_network(running: Running, browser: Browser) -> None:
    with page(running, browser, path="/docs") as driver:
        wait(driver, lambda _: len(driver.find_elements("css selector", ".opblock")) == 7)
        assert "/v1/topics/predict" in find(driver, "#swagger-ui").text
        find(driver, ".opblock-summary-control").click()
        wait(driver, lambda _: find(driver, ".try-out__btn")).click()
        wait(driver, lambda _: find(driver, ".execute")).click()
        found = wait(driver, lambda _: find(driver, ".live-responses-table tbody .response-col_status"))
        assert found.text.startswith("200")


@contextmanager
def prefixed(address: str) -> Iterator[str]:
    """A proxy that takes ``/pre/fix`` off."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path.startswith("/pre/fix/")
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length) if length else None
            with urllib.request.urlopen(urllib.request.Request(address + self.path[8:], body)) as response:
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(response.read())

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/pre/fix/"
        server.shutdown()


def test_the_pages_work_behind_a_proxy_that_takes_a_prefix_off(running: Running, browser: Browser) -> None:
    with running() as (_, address), prefixed(address) as base, browser() as driver:
        driver.get(base)
        ask(driver, "my refund")
        wait(driver, lambda _: find(driver, "#answer").is_displayed())
        assert f"curl {base}v1/topics/predict" in find(driver, "#curl").text
        find(driver, "nav a").click()
        wait(driver, lambda _: driver.find_elements("css selector", ".opblock-summary-control"))[0].click()
        wait(driver, lambda _: find(driver, ".try-out__btn")).click()
        wait(driver, lambda _: find(driver, ".execute")).click()
        assert wait(driver, lambda _: find(driver, ".request-url")).text.endswith("/pre/fix/v1/topics/predict")


def test_the_files_name_no_other_host() -> None:
    ours = [*(site.HERE / "templates").iterdir(), *(site.HERE / "assets").iterdir()]
    assert len(ours) >= 7
    for path in ours:
        hosts = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", path.read_text(encoding="utf-8")))
        assert hosts <= {"http://www.w3.org"}, path


def test_the_vendored_files_come_with_their_licence() -> None:
    names = {path.name for path in (site.HERE / "vendor").iterdir()}
    assert {"LICENSE", "NOTICE", "swagger-ui.css", "swagger-ui-bundle.js", "swagger-ui-bundle.js.LICENSE.txt"} <= names
    assert "Apache License" in Path(site.HERE / "vendor" / "LICENSE").read_text(encoding="utf-8")


def test_what_a_page_says_of_a_bundle_is_escaped(connect: Callable[..., TestClient], bayes: Any) -> None:
    client = connect(bayes.topics(inputs={"</script><b>": "text"}))
    text = client.get("/").text
    assert "</script><b>" not in text
    assert r"\u003c/script\u003e\u003cb\u003e" in text
