"""The pages in a real browser, served by the real application, on a desk and on a phone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from propensity.ledger import Ledger
from propensity_serving.app import build_app
from propensity_serving.state import ServingState

pytestmark = pytest.mark.browser

SCREENS = {"desktop": (1280, 800), "phone": (360, 740)}
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def address(experiment: Ledger, small_model, record_experiment, assessed) -> Iterator[str]:
    """The service with three experiments: small, with a policy, and with very many long names."""
    experiment.add_assessment("spring", "m/7", assessed("per_person").to_json())
    record_experiment(experiment, campaign="bare", title="Without a policy")
    names = [f"circumstances_outreach_conversation_{i}" for i in range(12)]
    record_experiment(
        experiment, campaign="wide", arms=dict.fromkeys(("control", *names), (30, 9, 3)), title="Wide " * 9
    )
    state = ServingState(model=small_model, ledger=experiment, serving_since=datetime.now(UTC))
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


@pytest.fixture(params=SCREENS)
def page(request, browser, address) -> Iterator[Page]:
    """A screen; a fault in the page, or a wish for anything from elsewhere, fails the test."""
    width, height = SCREENS[request.param]
    page = browser.new_page(viewport={"width": width, "height": height})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(address) else wrong.append(asked.url))
    page.goto(address)
    yield page
    page.close()
    assert wrong == []


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("title", ["Spring mailing", "Without a policy", "Wide"])
def test_every_page_is_reached_from_the_list_and_fits_the_screen(page, title):
    assert fits(page)
    page.locator("li a", has_text=title).click()
    assert page.locator("h1").inner_text().startswith(title)
    assert page.locator(".headline").is_visible()
    assert page.locator("svg").first.is_visible()
    assert fits(page)


def test_how_it_was_measured_unfolds_and_still_fits(page):
    page.locator("li a", has_text="Spring mailing").click()
    explained = page.get_by_text("Sample-ratio test")
    assert not explained.is_visible()
    page.get_by_text("How this was measured").click()
    assert explained.is_visible()
    assert fits(page)


def test_wide_tables_scroll_inside_the_page_and_can_be_reached_by_keyboard(page):
    page.locator("li a", has_text="Wide").click()
    for region in page.get_by_role("region").all():
        if region.evaluate("e => e.scrollWidth > e.clientWidth && e.matches('.scroll')"):
            region.focus()
            assert region.evaluate("e => e === document.activeElement")


def test_a_lost_page_says_so_and_leads_back(page, address):
    page.goto(f"{address}nothing")
    assert page.get_by_text("This experiment cannot be shown").is_visible()
    assert fits(page)
    page.get_by_text("All experiments").click()
    assert page.url == address
