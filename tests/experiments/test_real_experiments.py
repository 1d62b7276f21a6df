"""Summaries of public experiments show what was published of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from propensity import datasets
from propensity.campaigns import about_campaign
from propensity.ledger import Ledger
from propensity.mapping import load_mapping
from propensity.wide import read_wide
from propensity_experiments.summary import summarise
from propensity_experiments.verdict import verdict

EXAMPLES = Path(__file__).resolve().parents[2] / "experiments" / "examples"
MATCHES = {"match_one_for_one": 0.0207, "match_two_for_one": 0.0226, "match_three_for_one": 0.0227}
"""Shares who gave: Karlan and List (2007), table 2A; 0.0179 without a match."""


@pytest.fixture(scope="module")
def charity(tmp_path_factory):
    places = [directory / "charity_match.csv.gz" for directory, _ in datasets.data_directories()]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        pytest.skip(f"there is none of {', '.join(map(str, places))}")
    data = read_wide(file, load_mapping("charity_ratios"), "a test", quarantine=True)
    ledger = Ledger(f"sqlite:///{tmp_path_factory.mktemp('charity') / 'ledger.db'}").create()
    started = data.contacts["decided_at"].min().to_pydatetime()
    about = about_campaign(data.playbook, title=data.title, words=data.words, started_at=started)
    ledger.add_campaign(data.campaign, **about)
    ledger.add_customers(data.customers)
    ledger.add_contacts(data.contacts)
    ledger.add_outcomes(data.outcomes)
    yield summarise(ledger, data.campaign)
    ledger.close()


@pytest.mark.real_data
def test_a_match_raises_giving_and_its_ratio_does_not_matter(charity):
    giving = charity.primary
    shares = {x.action: x.with_it / x.people for x in giving.totals}
    assert shares["control"] == pytest.approx(0.0179, abs=1e-4)
    assert {a: shares[a] for a in MATCHES} == {a: pytest.approx(share, abs=1e-4) for a, share in MATCHES.items()}
    # the paper: a match raises the share who give by 22 %; neither 2:1 nor 3:1 adds to 1:1
    assert giving.any_contact.clear
    assert giving.any_contact.relative.value == pytest.approx(0.22, abs=0.04)
    assert not giving.among_arms.clear
    assert giving.among_arms.difference.low < 0 < giving.among_arms.difference.high
    told = verdict(charity).sentences
    assert any(s.startswith("Contact of any kind brought +4.") for s in told)
    assert any(s.startswith("The arms cannot be told from one another: between the best and the wor") for s in told)
    assert charity.health.healthy
    # to give is to come back: the same people are not shown twice
    assert [x.outcome.key for x in charity.outcomes] == ["reactivated", "revenue", "net_value"]


@pytest.mark.real_data
def test_the_committed_example_is_that_of_the_command(charity):
    committed = json.loads((EXAMPLES / "charity.json").read_text(encoding="utf-8"))
    now = json.loads(json.dumps(charity.to_json()))
    assert committed["fingerprint"] == now["fingerprint"]
    # numbers of another machine's linear algebra may differ in their last digits
    assert committed["outcomes"] == _about(now["outcomes"])


def _about(value):
    if isinstance(value, dict):
        return {k: _about(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_about(v) for v in value]
    return pytest.approx(value, rel=1e-6, abs=1e-12) if isinstance(value, float) else value
