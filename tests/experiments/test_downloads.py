"""The files that a summary can be had as."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import sys
from dataclasses import replace
from urllib.parse import unquote

import example_summaries
import pytest
from rich.console import Console
from starlette.testclient import TestClient

from propensity_experiments import downloads, page, pdf, terminal
from propensity_experiments.web import pages


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_has_one_exact_figure_a_row():
    summary = example_summaries.complete()
    rows = read(downloads.as_csv(summary))
    assert list(rows[0]) == ["section", "arm", "measure", "value", "low", "high", "unit"]
    effect = summary.primary.effects[0]
    (row,) = [r for r in rows if (r["section"], r["arm"], r["measure"]) == ("reactivated", effect.action, "extra")]
    assert [float(row[k]) for k in ("value", "low", "high")] == list(effect.difference)[:1] + list(effect.difference)[
        2:4
    ]
    assert len({tuple(r.values())[:3] for r in rows}) == len(rows)
    assert {r["section"] for r in rows} >= {
        "health",
        "revenue",
        "measures",
        "guardrails",
        "over time",
        "funnel",
        "reach",
    }


@pytest.mark.parametrize("name", ["bare", "empty", "unhealthy"])
def test_a_table_of_little_or_nothing_can_be_written(name):
    rows = read(downloads.as_csv(getattr(example_summaries, name)()))
    assert {r["section"] for r in rows} == ({"health", "reactivated"} if name == "bare" else {"health"})


def test_no_name_is_taken_for_a_formula():
    summary = example_summaries.complete()
    cells = tuple(replace(c, action="=1+1") for c in summary.cells)
    assert {r["arm"] for r in read(downloads.as_csv(replace(summary, cells=cells))) if r["section"] == "cells"} == {
        "'=1+1"
    }


def test_a_mailed_page_brings_both_files_with_it():
    summary = example_summaries.complete()
    links = re.findall(r'href="data:([^;]+);charset=utf-8;base64,([^"]+)" download="([^"]+)"', page.render(summary))
    held = {name: base64.b64decode(content).decode() for _, content, name in links}
    assert held["spring-2026.csv"] == downloads.as_csv(summary)
    assert json.loads(held["spring-2026.json"]) == json.loads(downloads.as_json(summary))


def test_the_page_of_an_experiment_leads_to_its_files(ledger, record_experiment):
    odd = "a/b c?d#e%f"
    record_experiment(ledger, campaign=odd, title="Odd name")
    record_experiment(ledger, campaign="named.csv", title="Named like a file")
    client = TestClient(pages(lambda: ledger, patience_seconds=60.0))
    one = client.get("/a/b%20c%3Fd%23e%25f")
    policy = one.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("frame-ancestors 'none'")
    addresses = dict(re.findall(r'href="\./([^"]+\.(csv|json|pdf))"', one.text))
    assert {unquote(a) for a in addresses} >= {"b c?d#e%f.csv", "b c?d#e%f.json"}
    table, figures = client.get("/a/b%20c%3Fd%23e%25f.csv"), client.get("/a/b%20c%3Fd%23e%25f.json")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert read(table.text)[0]["value"] == str(figures.json()["people"]) == "1200"
    assert "Named like a file" in client.get("/named.csv").text
    assert client.get("/named.csv.csv").text.startswith("section,")
    assert client.get("/nobody.csv").status_code == 404


def test_a_pdf_is_made_of_the_page_or_says_what_is_missing(monkeypatch, experiment):
    content = pdf.as_pdf(example_summaries.bare())
    assert content.startswith(b"%PDF-")
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(pdf.NoPdfError, match=r"pip install 'propensity\[pdf\]'"):
        pdf.as_pdf(example_summaries.bare())
    answer = TestClient(pages(lambda: experiment, patience_seconds=60.0)).get("/spring.pdf")
    assert answer.status_code == 501
    assert "propensity[pdf]" in answer.text


def test_the_command_writes_all_files(propensity, experiment, elsewhere, tmp_path):
    address = f"sqlite:///{tmp_path / 'ledger.db'}"
    files = ("--html", "s.html", "--csv", "s.csv", "--json", "s.json")
    code, said, wrong = propensity("experiment", "summary", "spring", "--ledger", address, *files)
    assert (code, wrong) == (0, "")
    assert "Visits, by arm" in said
    assert "+150.0" in said
    assert "\x1b" not in said
    assert not [line for line in said.splitlines() if line != line.rstrip() and line.startswith("- ")]
    people = json.loads((elsewhere / "s.json").read_text())["people"]
    assert read((elsewhere / "s.csv").read_text())[0]["value"] == str(people)
    assert (elsewhere / "s.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("name", ["complete", "bare", "empty", "unhealthy"])
@pytest.mark.parametrize("width", [40, 120])
def test_a_terminal_of_any_width_shows_what_may_be_read(monkeypatch, name, width):
    screen = io.StringIO()

    def console(**wanted) -> Console:
        return Console(**{**wanted, "file": screen, "width": width, "force_terminal": True})

    monkeypatch.setattr(terminal, "Console", console)
    terminal.show(getattr(example_summaries, name)(), no_color=True)
    shown = screen.getvalue()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(map(len, plain.splitlines())) <= width
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)
    assert ("extra" in plain and "by arm" in plain) == (name in ("complete", "bare"))
