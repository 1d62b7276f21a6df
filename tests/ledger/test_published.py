"""A published summary stays as it was, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from propensity.errors import InputError
from propensity.ledger.published import publish_summary, published_summaries, published_summary

AS_OF = datetime(2026, 3, 20, 9, tzinfo=UTC)
CAMPAIGN = {
    **{"title": "Spring", "follows": None, "currency": "USD", "window_days": 14.0, "started_at": AS_OF},
    **{"reactivated_word": "visit", "reactivated_words": "visits"},
}


@pytest.fixture
def publish(ledger):
    ledger.add_campaign("spring", **CAMPAIGN)
    ledger.add_campaign("summer", **CAMPAIGN)

    def make(campaign="spring", who="Ann", **values):
        said = {"as_of": AS_OF, "fingerprint": "f1", "content": {"people": 3}, "page": "<p>größer"} | values
        return publish_summary(ledger, campaign, who=who, **said)

    return make


def test_what_was_published_is_found_whole_and_by_its_number(ledger, publish):
    first, second = publish(), publish(who=" Bert ", fingerprint="f2", content={"people": 4})
    other = publish("summer")
    kept = published_summary(ledger, "spring", first)
    assert (kept["who"], kept["as_of"], kept["fingerprint"]) == ("Ann", AS_OF, "f1")
    assert (kept["content"], kept["page"]) == ({"people": 3}, "<p>größer")
    newest = published_summary(ledger, "spring")
    assert (newest["id"], newest["who"], newest["content"]) == (second, "Bert", {"people": 4})
    listed = published_summaries(ledger, "spring")
    assert [row["id"] for row in listed] == [first, second]
    assert "page" not in listed[0]
    with pytest.raises(InputError, match=rf"campaign spring: no such published summary \(published: {first}, {second}"):
        published_summary(ledger, "spring", other)


@pytest.mark.parametrize("statement", ["UPDATE published_summaries SET who = 'x'", "DELETE FROM published_summaries"])
def test_the_database_refuses_to_change_it(ledger, publish, statement):
    publish()
    with ledger.engine.begin() as connection, pytest.raises(sa.exc.DatabaseError, match="never changed or removed"):
        connection.execute(sa.text(statement))
    assert published_summary(ledger, "spring")["who"] == "Ann"


def test_nobody_and_nothing_known_are_refused(ledger, publish):
    with pytest.raises(InputError, match="who: expected the name"):
        publish(who="  ")
    with pytest.raises(InputError, match="campaign winter: is not in the ledger"):
        publish("winter")
    with pytest.raises(InputError, match=r"campaign spring: no such published summary \(published: none\)"):
        published_summary(ledger, "spring")
