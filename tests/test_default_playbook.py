"""The playbook that ships as ``default`` is whole: it can be loaded, says everything, and contradicts nothing."""

import re

import pytest

from propensity import contract, playbook

CHANNELS = {"email", "in_app", "sms", "push", "retargeting_ad", "direct_mail", "direct_outreach"}
OFFERS = {
    "none",
    "content_update",
    "extended_trial",
    "price_hold",
    "downgrade",
    "percent_off",
    "points",
    "onboarding_session",
    "conversation",
}


@pytest.fixture(scope="module")
def default():
    return playbook.load("default")


def test_every_archetype_channel_and_offer_is_used(default):
    factors = default.factors()
    assert set(factors["archetype"]) == set(default.archetypes)
    assert set(factors["channel"]) == set(default.channels) == CHANNELS
    assert set(factors["offer"]) == set(default.offers) == OFFERS
    assert 20 <= len(default.labels) <= 26
    assert not factors.duplicated().any()


def test_every_reason_is_answered_by_one_archetype(default):
    # `load` refuses a reason with two; here: none is forgotten and none is misspelt.
    assert set(default.archetype_of_reason()) == set(contract.REASONS)
    for name, offer in default.offers.items():
        assert set(offer.excluded_reasons) <= set(contract.REASONS), name


def test_labels_name_the_parts(default):
    short = {"retargeting_ad": "ad", "direct_mail": "mail", "direct_outreach": "outreach"}
    for label, action in default.actions.items():
        assert re.fullmatch(r"[a-z_]+", label)
        assert f"_{short.get(action.channel, action.channel)}_" in label


def test_field_rules(default):
    assert default.program.cooling_off_days == 30
    assert default.program.horizon_days == 548
    assert default.program.attribution_window_days == 90
    assert {"service_problem", "product_gap", "price"} <= set(default.offers["percent_off"].excluded_reasons)
    assert default.channels["in_app"].needs_account_access
    assert default.channels["sms"].needs_consent
    assert default.channels["sms"].max_touches == 2
    assert default.channels["direct_outreach"].cost_currency == max(c.cost_currency for c in default.channels.values())


def test_service_failures_can_reach_a_person(default):
    answer = default.archetype_of_reason()["service_problem"]
    people = [a for a in default.actions.values() if a.channel == "direct_outreach" and a.archetype == answer]
    assert any("service_problem" not in default.offers[a.offer].excluded_reasons for a in people)


def test_every_stated_reason_leaves_a_right_action_on_email(default):
    for reason, archetype in default.archetype_of_reason().items():
        open_ = [
            label
            for label, a in default.actions.items()
            if a.archetype == archetype
            and a.channel == "email"
            and reason not in default.offers[a.offer].excluded_reasons
        ]
        assert open_, reason
