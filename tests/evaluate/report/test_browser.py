"""The report in headless Chromium without a network, at the width of a desk and of a phone."""

from __future__ import annotations

import pytest

from tests.e2e.test_ui import CHROMIUM, FLAGS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

#: The size of everything in a figure that shows a number, for every figure of the page.
MARKS = """() => [...document.querySelectorAll("figure")].map(figure => ({
    title: figure.querySelector("figcaption").textContent,
    width: figure.querySelector("svg").getBoundingClientRect().width,
    height: figure.querySelector("svg").getBoundingClientRect().height,
    marks: [...figure.querySelectorAll("[id*='.mark-']")].filter(mark => {
        const box = mark.getBoundingClientRect(); return box.width + box.height > 1; }).length,
    text: Math.min(...([...figure.querySelectorAll("text")].map(t => parseFloat(getComputedStyle(t).fontSize)
        * t.ownerSVGElement.getBoundingClientRect().width / t.ownerSVGElement.viewBox.baseVal.width))),
}))"""


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "no Chromium found: apt-get install chromium, or set CHROMIUM=/path"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_every_figure_is_full_and_nothing_runs(browser, reported, width):
    context = browser.new_context(viewport={"width": width, "height": 844}, offline=True)
    window, said, asked = context.new_page(), [], []
    window.on("console", lambda message: said.append(message.text))
    window.on("pageerror", lambda error: said.append(str(error)))
    window.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    window.on("request", lambda request: asked.append(request.url))
    window.goto(reported.file.as_uri())
    figures = window.evaluate(MARKS)
    assert len(figures) == reported.page.figures
    for figure in figures:
        assert figure["marks"] >= 1 and figure["width"] > 250 and figure["height"] > 60, figure
        assert figure["text"] >= 9, f"too small to read: {figure}"
    assert window.title() == "Report of a Nemotron lake"
    assert window.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    for summary in window.locator("summary").all():
        summary.click()
    assert window.evaluate("document.documentElement.scrollWidth") <= width, "a grid widens the page"
    assert asked == [reported.file.as_uri()] and not said
    context.close()
