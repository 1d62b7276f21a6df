"""The pages in a real browser, on a desk and on a phone: served by the real application, and mailed as a file."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import example_summaries
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from propensity.ledger import Ledger
from propensity_experiments import page as pages
from propensity_serving.app import build_app
from propensity_serving.state import ServingState

pytestmark = pytest.mark.browser

SCREENS = {"desktop": (1280, 800), "phone": (390, 844)}
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
MOST_MILLISECONDS = 1_000
"""Until a mailed page is shown."""


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory, small_model, record_experiment, assessed) -> Iterator[str]:
    """The service with three experiments: small, with a policy, and with very many long names."""
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('served') / 'ledger.db'}").create()
    record_experiment(ledger)
    ledger.add_assessment("spring", "m/7", assessed("per_person").to_json())
    record_experiment(ledger, campaign="bare", title="Without a policy")
    names = [f"circumstances_outreach_conversation_{i}" for i in range(12)]
    record_experiment(ledger, campaign="wide", arms=dict.fromkeys(("control", *names), (30, 9, 3)), title="Wide " * 9)
    state = ServingState(model=small_model, ledger=ledger, serving_since=datetime.now(UTC))
    server = uvicorn.Server(uvicorn.Config(build_app(state), port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/experiments/"
    server.should_exit = True
    thread.join()
    ledger.close()


@pytest.fixture(scope="module")
def mailed(tmp_path_factory) -> str:
    """The address of a file that shows an experiment of which everything is known."""
    file = tmp_path_factory.mktemp("mailed") / "summary.html"
    file.write_text(pages.render(example_summaries.complete()), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(params=SCREENS)
def page(request, browser, address, mailed) -> Iterator[Page]:
    """A screen; a fault in the page, or a wish for anything from elsewhere, fails the test."""
    width, height = SCREENS[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    known = (address, mailed, "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(known) else wrong.append(asked.url))
    yield page
    page.close()
    assert [w for w in wrong if "404" not in w] == []


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_every_page_is_reached_from_the_list_and_fits_the_screen(page, address):
    for title in ("Spring mailing", "Without a policy", "Wide"):
        page.goto(address)
        assert fits(page)
        page.locator("td a", has_text=title).click()
        assert page.locator("h1").inner_text().startswith(title)
        assert page.locator(".headline").is_visible()
        expect(page.locator("figure.chart svg:visible").first).to_be_visible()
        assert fits(page)


def test_the_spreadsheet_is_downloaded_from_the_service_and_from_the_mailed_file(page, address, mailed):
    for start, people in ((f"{address}spring", "1200"), (mailed, "32000")):
        page.goto(start)
        with page.expect_download() as caught:
            page.get_by_text("Spreadsheet (CSV)").click()
        assert caught.value.suggested_filename.endswith(".csv")
        rows = list(csv.DictReader(Path(caught.value.path()).read_text().splitlines()))
        assert (rows[0]["measure"], rows[0]["value"]) == ("people", people)


def test_charts_come_alive_with_their_figures_and_nothing_widens_the_page(page, mailed):
    page.goto(mailed)
    painted = page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
    assert painted.json_value() < MOST_MILLISECONDS
    figures = page.locator("figure.chart")
    for k in range(figures.count()):
        figures.nth(k).scroll_into_view_if_needed()
        expect(figures.nth(k).locator(".live svg.marks")).to_be_visible()
        expect(figures.nth(k).locator(".still")).to_be_hidden()
        box = figures.nth(k).locator(".live svg.marks").bounding_box()
        assert box["width"] <= page.viewport_size["width"]
    assert fits(page)
    page.locator("#chart-reactivated .live path[aria-label*='any contact']").first.hover()
    expect(page.locator("#vg-tooltip-element")).to_contain_text("22.4")
    assert fits(page)


def test_folds_open_and_tips_show_by_mouse_and_by_keyboard(page, mailed):
    page.goto(mailed)
    explained = page.get_by_text("Sample-ratio test")
    assert not explained.is_visible()
    page.get_by_text("How this was measured").click()
    assert explained.is_visible()
    for term in page.locator("thead .term:visible").all()[:12]:
        term.locator("button").focus()
        assert term.locator(".tip").is_visible()
        assert fits(page)
    term = page.locator(".tiles .term").first
    tip = term.locator(".tip")
    assert not tip.is_visible()
    term.hover()
    assert "held out" in tip.inner_text()
    assert page.locator(f"[aria-describedby={tip.get_attribute('id')}]").inner_text() == "Extra"
    page.keyboard.press("Escape")
    assert not tip.is_visible()


def test_wide_tables_scroll_inside_the_page_and_can_be_reached_by_keyboard(page, address):
    page.goto(f"{address}wide")
    wide = [r for r in page.get_by_role("region").all() if r.evaluate("e => e.scrollWidth > e.clientWidth")]
    assert wide or page.viewport_size["width"] > 1_000
    for region in wide:
        region.focus()
        assert region.evaluate("e => e === document.activeElement")


def test_a_lost_page_says_so_and_leads_back(page, address):
    page.goto(f"{address}nothing")
    assert page.get_by_text("This experiment cannot be shown").is_visible()
    assert fits(page)
    page.get_by_text("All experiments").click()
    assert page.url == address


def test_a_printed_page_has_still_charts_and_unfolds_everything(browser, mailed):
    page = browser.new_page()
    page.goto(mailed)
    page.locator("figure.chart").first.scroll_into_view_if_needed()
    expect(page.locator(".drawn").first).to_be_attached()
    page.emulate_media(media="print")
    assert page.locator(".still:visible").count() == page.locator("figure.chart").count()
    assert page.locator(".live:visible").count() == 0
    assert page.get_by_text("Sample-ratio test").is_visible()
    assert page.locator("dl.glossary dt:visible").count() > 10
    assert page.pdf().startswith(b"%PDF-")
    page.close()


def test_without_javascript_charts_tables_folds_and_tips_are_there(browser, mailed):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(mailed)
    assert page.locator(".still svg:visible").count() == page.locator("figure.chart").count()
    page.locator(".tiles .term button").first.focus()
    assert page.locator(".tiles .tip").first.is_visible()
    page.get_by_text("How this was measured").click()
    assert page.get_by_text("Sample-ratio test").is_visible()
    context.close()
