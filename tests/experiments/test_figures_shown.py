"""Every number that the page shows is one of the JSON file, rounded; pages carry everything inside and stay small."""

from __future__ import annotations

import base64
import csv
import gzip
import hashlib
import html
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser

import example_summaries
import pytest

from propensity.pages.interactive import slim
from propensity.pages.words import chance, signed
from propensity.targeting import TargetingCurves
from propensity_experiments import curve_charts, downloads, page, shown
from propensity_experiments.contents import Summary

MOST_BYTES = 1_500_000
SUMMARIES = ("complete", "crowded", "bare", "empty", "unhealthy")


@pytest.fixture(params=SUMMARIES)
def summary(request) -> Summary:
    return getattr(example_summaries, request.param)()


class Reader(HTMLParser):
    """Collects ``data`` elements and the text outside of them, charts and scripts apart."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.figures: list[tuple[dict[str, str | None], str]] = []
        self.in_cells: list[str] = []
        self._open: dict[str, str | None] | None = None
        self._inside: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag, attrs):
        if tag in ("svg", "script", "style", "td"):
            self._inside.append(tag)
        elif tag == "data":
            self._open = dict(attrs)

    def handle_endtag(self, tag):
        if tag in ("svg", "script", "style", "td") and self._inside:
            self._inside.pop()
        elif tag == "data":
            self._open = None

    def handle_data(self, data):
        if self._open is not None:
            self.figures.append((self._open, data))
        elif self._inside == ["td"]:
            self.in_cells.append(data)


def numbers(value: object) -> Iterator[float]:
    """All numbers of a JSON document."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from numbers(each)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield float(value)


def texts(value: object) -> Iterator[str]:
    """All texts of a JSON document, and its names."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def test_every_figure_is_one_of_the_json_file(summary):
    known = set(numbers(json.loads(downloads.as_json(summary))))
    figures = Reader(page.render(summary)).figures
    assert len(figures) > (300 if summary.health.healthy and summary.segments else 0)
    for said, text in figures:
        value = float(str(said["value"]))
        assert value in known
        times, per = float(said.get("data-times") or 1), said.get("data-per")
        assert per is None or float(per) in known
        number = value * times / (1 if per is None else float(per))
        if "data-words" in said:
            assert text.replace("\u00a0", " ") == chance(value)
        else:
            digits = len(text.partition(".")[2])
            assert text in (f"{number:,.{digits}f}", signed(number, digits))


def test_a_table_holds_no_number_but_such_figures(summary):
    told = " ".join(texts(json.loads(downloads.as_json(summary))))
    for piece in Reader(page.render(summary)).in_cells:
        text = " ".join(piece.split())
        assert not re.search(r"\d", text) or text in told


def test_charts_draw_the_numbers_of_the_json_file():
    summary = example_summaries.complete()
    known = list(numbers(json.loads(downloads.as_json(summary))))
    sums = [sum(step.people.values()) for step in summary.funnel]
    drawn = page._drawings(summary)
    assert len(drawn) == 15
    for drawing in drawn.values():
        for rows in drawing.specification["datasets"].values():
            for value in numbers(rows):
                own = [value, value / 1_000, value * 1_000]
                assert value == 0 or value in sums or any(math.isclose(a, b) for a in own for b in known), drawing.key


def test_curves_of_who_and_of_money_are_told_or_why_there_are_none():
    summary = example_summaries.complete()
    shown = page.render(summary)
    assert "How many to contact?" in shown
    assert "How much to spend?" in shown
    curves = summary.assessment.curves
    rows = list(csv.DictReader(io.StringIO(downloads.as_csv(summary))))
    of_qini = [row for row in rows if row["section"] == "Qini curve" and row["arm"] == "most promising first"]
    assert [float(row["value"]) for row in of_qini] == [row["gain"] for row in curves.qini]
    assert [(float(r["low"]), float(r["high"])) for r in of_qini] == [(r["low"], r["high"]) for r in curves.qini]
    assert sum(row["section"] == "what money buys" for row in rows) == 5 * len(curves.budgets)

    def with_curves(found: TargetingCurves | None) -> str:
        return page.render(replace(summary, assessment=replace(summary.assessment, curves=found)))

    why = with_curves(TargetingCurves([], "nobody comes first", [], "nothing is worth anything", None))
    assert "There is no curve over people: nobody comes first." in why
    assert "There is no curve over money: nothing is worth anything." in why
    older = with_curves(None)
    assert "this model was assessed before these curves were kept" in older
    assert "How many to contact?" not in older


def test_days_without_a_band_are_not_drawn():
    whole = example_summaries.complete()
    first, *others = whole.over_time
    without = replace(first, difference=first.difference._replace(low=-math.inf, high=math.inf))
    unknown = replace(first, difference=first.difference._replace(low=math.nan, high=math.nan))
    assert "chart-time" not in page._drawings(replace(whole, over_time=(unknown, unknown)))
    assert "chart-time" not in page._drawings(replace(whole, over_time=(without, without)))
    drawn = page._drawings(replace(whole, over_time=(unknown, *others)))["chart-time"]
    assert first.day.isoformat() not in drawn.alternative


def test_a_chart_has_an_alternative_a_picture_and_a_table_in_its_section():
    markup = page.render(example_summaries.complete())
    for section in re.findall(r"<section.*?</section>", markup, re.DOTALL):
        pictures = section.count('class="still"')
        assert section.count("<svg") >= pictures
        assert len(re.findall(r'role="img" aria-label="[^"]{40,}"', section)) == pictures
        assert not pictures or "<table" in section


@pytest.mark.parametrize("form", ["served", "file", "paper"])
def test_a_page_asks_for_nothing_from_elsewhere_and_stays_small(summary, form):
    markup = page.render(summary, form)
    assert len(markup.encode()) < MOST_BYTES
    assert "default-src 'none'" in html.unescape(markup)
    own = re.sub(r"<script>.*?</script>|<svg.*?</svg>", "", markup, flags=re.DOTALL)
    addresses = re.findall(r'(?:src|href)="([^"]*)"', own)
    assert all(a.startswith(("data:", "./")) for a in addresses)
    assert "url(" not in own
    assert "@import" not in own
    assert ("<script>" in markup) == (form != "paper")


def test_an_unhealthy_page_shows_nothing_that_could_be_read():
    markup = page.render(example_summaries.unhealthy())
    words = re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", markup, flags=re.DOTALL)
    assert "The arms are not as large as planned." in words
    for kept_back in ("Extra returns", "Who to contact", "Who responds", "What it brought in", "summer-2026", "61,400"):
        assert kept_back not in words
    assert "download=" not in markup
    assert "<svg" not in markup


def test_all_words_are_explained_in_print_and_none_twice():
    markup = page.render(example_summaries.complete(), "paper")
    listed = markup[markup.index('<dl class="glossary">') :]
    assert listed.count("<dt>") == len(set(re.findall(r"<dt>(.*?)</dt>", listed)))
    for word in ("extra", "95 % sure", "Return on spend", "Returns"):
        assert f"<dt>{word}</dt>" in listed
    assert "<button" not in markup
    assert "<details>" not in markup


def test_what_is_not_a_number_is_a_dash():
    assert shown.figure(float("nan")) == shown.figure(None) == shown.figure(3, per=0) == shown.NOTHING
    assert shown.estimate(None) == shown.probability(float("nan")) == shown.NOTHING


def test_what_draws_charts_comes_packed_and_unpacks_to_what_the_policy_allows():
    shown = page.render(example_summaries.complete())
    packed = re.search(r'<script type="text/plain" id="packed-vega">([^<]*)</script>', shown)[1]
    script = gzip.decompress(base64.b64decode(packed))
    allowed = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert f"'sha256-{allowed}'" in html.unescape(shown)
    assert f"'sha256-{allowed}'" in page.served_policy()
    assert len(packed) < len(script) / 2
    assert "packed-vega" not in page.render(example_summaries.complete(), "paper")


def test_still_charts_lose_nothing_that_is_seen():
    svg = (
        '<svg><path class="background" aria-hidden="true" d="M0,0h0v0h0Z" pointer-events="none"/>'
        '<path aria-label="a" d="M1.23456,2h3" opacity="0"/>'
        '<path d="M1.23456,-2.5h30.987" fill-opacity="0" stroke="#000"/>'
        '<text transform="translate(3.14159,2)" opacity="1">2.71828</text></svg>'
    )
    assert slim(svg) == (
        '<svg><path d="M1.23,-2.5h30.98" fill-opacity="0" stroke="#000"/>'
        '<text transform="translate(3.14,2)" opacity="1">2.71828</text></svg>'
    )


def test_long_lines_are_thinned_evenly_to_what_can_be_told_apart():
    summary = example_summaries.crowded()
    days = max(page._drawings(summary)["chart-time"].specification["datasets"].values(), key=len)
    assert len(days) == curve_charts.MOST_POINTS
    assert (days[0]["day"], days[-1]["day"]) == tuple(summary.over_time[k].day.isoformat() for k in (0, -1))
    assert len(summary.over_time) == 365
    assert len(re.findall(r'<th scope="row">\d+ \w+ 202[67]</th>', page.render(summary))) <= 61
