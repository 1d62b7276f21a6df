"""What a ledger's second decisions teach: chances by all campaigns' first ones, and by the playbook of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from ledger_cases import decided

from propensity.campaigns import about_campaign
from propensity.contract import CONTROL, PROBABILITY_PREFIX
from propensity.dataset import Dataset
from propensity.ledger import Ledger, approve_playbook
from propensity.ledger_dataset import ledger_dataset
from propensity.playbook import Playbook
from propensity.policy import action_probabilities, decide
from propensity.simulation import DECIDED_AT, simulate

AT = pd.Timestamp(DECIDED_AT)
DAY = pd.Timedelta(days=1)
LATER = AT + 400 * DAY


@pytest.fixture(scope="module")
def people(email_playbook) -> pd.DataFrame:
    return simulate(1_500, seed=0, playbook=email_playbook).customers


def with_shares(playbook: Playbook, everywhere: float, in_campaign: float) -> Playbook:
    shares = {"holdout_share": everywhere, "campaign_holdout_share": in_campaign}
    return playbook.model_copy(update={"learning": playbook.learning.model_copy(update=shares)})


@dataclass
class Program:
    """Decides on everybody, and records it."""

    ledger: Ledger
    people: pd.DataFrame

    def wave(self, campaign: str, playbook: Playbook, at: pd.Timestamp) -> None:
        """By the playbook's holdouts; the ledger knows the campaign's first playbook."""
        n, labels = len(self.people), playbook.labels
        allowed = pd.DataFrame(True, index=range(n), columns=labels)
        value = pd.DataFrame(1.0, index=range(n), columns=labels)
        ids = self.people["customer_id"].reset_index(drop=True)
        drawn = decide(ids, value, allowed, playbook.learning, campaign=campaign)
        chances = action_probabilities(np.full(n, labels[0], dtype=object), allowed, playbook.learning)
        decisions = decided(*ids, campaign=campaign, playbook_version=playbook.version).assign(
            decision_id=campaign + f"-{at:%j}-" + ids,
            **drawn[["action", "assignment", "probability"]],
            send=drawn["action"] != CONTROL,
        )
        known = self.people.assign(as_of=at - DAY, churned_at=at - 60 * DAY)
        self.ledger.add_campaign(campaign, **about_campaign(playbook, title=campaign, started_at=at.to_pydatetime()))
        self.ledger.add_decisions(decisions, at, chances, customers=known.reset_index(drop=True))

    def learnt(self, playbook: Playbook, *campaigns: str) -> Dataset:
        return ledger_dataset(self.ledger, playbook, until=LATER, campaigns=campaigns or None, rare=1)


@pytest.fixture
def program(ledger, people) -> Program:
    return Program(ledger, people)


def assert_control_was_served_as_given(dataset: Dataset, at: pd.Timestamp, expected: float) -> None:
    wave = dataset.contacts[dataset.contacts["decided_at"] == at]
    np.testing.assert_allclose(wave[PROBABILITY_PREFIX + CONTROL], expected, atol=1e-12)
    error = np.sqrt(expected * (1 - expected) / len(wave))
    assert (wave["action"] == CONTROL).mean() == pytest.approx(expected, abs=4 * error)


def test_a_campaign_teaches_what_it_teaches_among_all(program, email_playbook):
    program.wave("c1", with_shares(email_playbook, 0.1, 0.1), AT)
    program.wave("c2", with_shares(email_playbook, 0.2, 0.1), AT + 100 * DAY)
    both, second = program.learnt(email_playbook), program.learnt(email_playbook, "c2")
    assert set(second.contacts["campaign"]) == {"c2"}
    of_both = both.contacts[both.contacts["campaign"] == "c2"].reset_index(drop=True)
    pd.testing.assert_frame_equal(second.contacts, of_both)
    # whom the first campaign held out, and of the first campaign's own decisions not a word
    assert second.left_out == both.left_out
    first = both.contacts[both.contacts["campaign"] == "c1"].reset_index(drop=True)
    pd.testing.assert_frame_equal(program.learnt(email_playbook, "c1").contacts, first)
    assert program.learnt(email_playbook, "c1").left_out == ()


@pytest.mark.parametrize("campaign_share", [0.0, 0.1])
def test_a_raised_share_in_a_new_campaign(program, email_playbook, campaign_share):
    program.wave("c1", with_shares(email_playbook, 0.1, campaign_share), AT)
    program.wave("c2", with_shares(email_playbook, 0.3, campaign_share), AT + 100 * DAY)
    found = program.learnt(email_playbook)
    assert_control_was_served_as_given(found, AT + 100 * DAY, 1 - 0.7 / 0.9 * (1 - campaign_share))
    # all teach whom the first did not hold out
    contacts = found.contacts
    reached = contacts[(contacts["campaign"] == "c1") & (contacts["action"] != CONTROL)]
    assert set(contacts.loc[contacts["campaign"] == "c2", "customer_id"]) == set(reached["customer_id"])


def test_a_campaign_that_goes_on_by_another_playbook(program, ledger, email_playbook):
    raised = with_shares(email_playbook, 0.3, 0.0)
    approve_playbook(ledger, raised, who="Ann")
    program.wave("c", with_shares(email_playbook, 0.1, 0.0), AT)
    for wave in (1, 2):
        program.wave("c", raised, AT + wave * 100 * DAY)
    found = program.learnt(email_playbook)
    assert_control_was_served_as_given(found, AT + 100 * DAY, 1 - 0.7 / 0.9)
    # whom the larger share did not hold out it does not the next time
    assert_control_was_served_as_given(found, AT + 200 * DAY, 0.0)
