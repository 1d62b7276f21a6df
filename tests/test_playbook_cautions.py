"""`playbook check`: limits that contradict each other in part, and conditions that few or none can meet."""

from __future__ import annotations

import pytest
from changed_files import change

from propensity import playbook
from propensity.playbook.cautions import cautions

DEFAULT = playbook.shipped()["default"].read_text(encoding="utf-8")
CHANGES = [
    (
        "max_touches = 2  # field guide: SMS",
        "max_touches = 9  # field",
        "channels.sms.max_touches is 9, but nobody gets",
    ),
    (
        "min_gap_days = 3             # field guide: touches",
        "min_gap_days = 1  # touches",
        "channels.in_app.min_gap_days is 1, but any two touches are contact.min_gap_days, 3, apart",
    ),
    (
        "min_gap_days = 3        # field guide: 3-7",
        "min_gap_days = 20  # 3-7",
        "contact.max_touches is 4 within 45 days, but touches are 20 days apart, so that many cannot fit in",
    ),
    ("after_days = 7 ", "after_days = 2 ", "sequence.1.after_days is 2, but contact.min_gap_days, 3, keeps"),
    (
        'channels = ["in_app", "sms"]\nafter_days = 7 ',
        'channels = ["email", "sms"]\nafter_days = 5 ',
        "sequence.1.after_days is 5, but channels.email.min_gap_days, 7, keeps",
    ),
    ("max_touches = 4  ", "max_touches = 2  ", "sequence.2: is touch 3 within 21 days, but contact.max_touches is 2"),
    ("rest_after_ignored = 2 ", "rest_after_ignored = 1 ", "sequence.1: comes after 1 touches, but who did not react"),
    (
        "[learning]",
        "[budget]\ncurrency_per_wave = 10\n[learning]",
        "channels.direct_outreach.cost_currency is 18, more than budget.currency_per_wave, 10",
    ),
    (
        '"wrong_fit_now_right"]\nnote = "30 %',
        '"wrong_fit_now_right"]\nexcluded_reasons = ["disengaged"]\nnote = "30 %',
        "action miss_you_email_percent_off: offer percent_off is excluded for every reason that archetype we_miss_you",
    ),
    (
        'message = "short, personal',
        'needs_change = true\nmessage = "short, personal',
        "archetype we_miss_you: is for whom something changed, and there are no [[changes]], so nobody gets it",
    ),
    ('time_zone = "America', '# "America', "program.time_zone is not named, so the quiet hours of sms, push, direct_"),
]
CONDITIONS = [
    ("{ shoe_size = ['44'] }", "actions.miss_you_email_none.only: shoe_size is no segment, no feature and no column"),
    ("{ tenure = ['ages'] }", "actions.miss_you_email_none.only.tenure: nobody can have ages; it is one of trial_canc"),
    ("{ reason = ['bored'] }", "actions.miss_you_email_none.only.reason: nobody can have bored; it is one of price"),
]


@pytest.mark.parametrize(("old", "new", "said"), CHANGES, ids=[said[:30] for *_, said in CHANGES])
def test_what_merely_surprises_is_a_caution(old, new, said):
    text = DEFAULT.replace('excluded_reasons = ["service_problem", "product_gap", "price"]\n', "")
    assert old in text
    before = set(cautions(playbook.parse(text)))
    assert [c for c in cautions(playbook.parse(text.replace(old, new, 1))) if c not in before and c.startswith(said)]
    assert not [c for c in before if c.startswith(said)]


@pytest.mark.parametrize(("condition", "said"), CONDITIONS)
def test_conditions_that_few_or_none_can_meet_are_told(propensity, tmp_path, condition, said):
    file = tmp_path / "mine.toml"
    file.write_text(DEFAULT, encoding="utf-8")
    place = 'miss_you_email_none = { archetype = "we_miss_you", channel = "email", offer = "none"'
    change(file, place, f"{place}, only = {condition.replace(chr(39), chr(34))}")
    code, out, _ = propensity("playbook", "check", file)
    assert code == 0
    assert f"Caution: {said}" in out
    change(file, condition.replace("'", '"'), '{ region = ["north"], relationship = ["amicable"], rfm = ["555"] }')
    assert "miss_you_email_none.only" not in propensity("playbook", "check", file)[1]
