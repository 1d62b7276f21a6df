"""Settings of a playbook that are changed to try them out."""

from __future__ import annotations

import pytest

from propensity import playbook
from propensity.playbook import PlaybookError


@pytest.fixture(scope="module")
def book():
    return playbook.load("default")


def test_settings_are_changed_by_their_place_and_nothing_else_is(book):
    found = playbook.changed(
        book, {"channels.email.cost_currency": "0.5", "never.0.within_days": 30, "sequence.0.channels": '["email"]'}
    )
    assert found.channels["email"].cost_currency == 0.5
    assert found.never[0].within_days == 30
    assert found.sequence[0].channels == ("email",)
    assert found.version != book.version
    back = playbook.changed(
        found,
        {
            "channels.email.cost_currency": book.channels["email"].cost_currency,
            "never.0.within_days": book.never[0].within_days,
            "sequence.0.channels": list(book.sequence[0].channels),
        },
    )
    assert back == book


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("channels.emial.cost_currency", "1", r"emial.*channels has email, in_app"),
        ("channels.email.cost", "1", r"no setting of the playbook; channels.email has cost_currency"),
        ("never.9.within_days", "1", r"no setting of the playbook; never has 0, 1"),
        ("channels.email.cost_currency", "-1", r"channels\.email\.cost_currency: .*greater than or equal to 0"),
        ("channels.email.cost_currency", "cheap", r"channels\.email\.cost_currency: .*'cheap'"),
        ("program.horizon_days", "10", r"program\.horizon_days: must be more than cooling_off_days"),
    ],
)
def test_what_cannot_be_is_said(book, place, value, said):
    with pytest.raises(PlaybookError, match=said):
        playbook.changed(book, {place: value})
