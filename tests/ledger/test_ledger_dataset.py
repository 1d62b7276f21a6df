"""A data set out of the ledger: who teaches, with which chances, and until when."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from ledger_cases import decided, event, snapshot
from ledger_learning import AT, record_program

from propensity.campaigns import about_campaign
from propensity.contract import CONTROL
from propensity.dataset import Dataset
from propensity.errors import InputError
from propensity.evaluation import dr_scores
from propensity.frame import logged_propensity, training_frame
from propensity.ledger import Ledger, approve_playbook
from propensity.ledger_dataset import ledger_dataset, newest_playbook
from propensity.playbook import Playbook
from propensity.simulation import simulate
from propensity_training.unseen import fingerprint, matured_frame

DAY = pd.Timedelta(days=1)
WINDOW = 90 * DAY
LATER = AT + 200 * DAY


@pytest.fixture(scope="module")
def program(email_playbook):
    return simulate(400, seed=1, playbook=email_playbook, effect_scale=12)


@pytest.fixture
def taught(ledger, program, email_playbook):
    """A ledger that holds the program."""
    record_program(ledger, program, email_playbook)
    return ledger


def frame_of(dataset: Dataset) -> pd.DataFrame:
    return training_frame(dataset.customers, dataset.contacts, dataset.outcomes, window_days=WINDOW / DAY)


def test_what_was_recorded_teaches_what_the_tables_teach(taught, program, email_playbook):
    found = ledger_dataset(taught, email_playbook, until=LATER, rare=1)
    mine = frame_of(found)
    its = training_frame(program.customers, program.contacts, program.outcomes, window_days=WINDOW / DAY)
    its["campaign"] = "first"
    its = its[~np.isclose(its["probability"], 1)].reset_index(drop=True)
    assert len(mine) == len(its) > 250
    assert set(its) - set(mine) <= {c for c in its if its[c].isna().all()} | {"days_since_churn"}
    for column in mine:
        if pd.api.types.is_float_dtype(mine[column]):
            np.testing.assert_allclose(mine[column], its[column].astype(float), rtol=1e-9, err_msg=column)
        else:
            assert mine[column].isna().equals(its[column].isna())
            assert mine[column].dropna().tolist() == its[column].dropna().tolist()


def test_some_of_the_people_teach_what_they_teach_among_all(taught, email_playbook, monkeypatch):
    monkeypatch.setattr("propensity.ledger_dataset.ROWS_SIFTED_AT_ONCE", 70)
    everybody = ledger_dataset(taught, email_playbook, until=LATER, rare=1)
    some = ledger_dataset(taught, email_playbook, until=LATER, rare=1, people_share=0.5)
    assert 0.35 < len(some.customers) / len(everybody.customers) < 0.65
    for mine, all_of_them in zip(
        (some.customers, some.contacts, some.outcomes),
        (everybody.customers, everybody.contacts, everybody.outcomes),
        strict=True,
    ):
        its = all_of_them[all_of_them["customer_id"].isin(some.customers["customer_id"])]
        pd.testing.assert_frame_equal(mine, its.reset_index(drop=True))


@pytest.mark.postgres
def test_both_databases_give_the_same_data(postgres_database, tmp_path, program, email_playbook):
    prints = []
    for url in (postgres_database, f"sqlite:///{tmp_path / 'other.db'}"):
        ledger = Ledger(url).create()
        record_program(ledger, program, email_playbook)
        prints.append(fingerprint(ledger_dataset(ledger, email_playbook, until=LATER, rare=1)))
        ledger.close()
    assert prints[0] == prints[1]


def test_data_stay_the_same_until_another_window_closes(taught, email_playbook):
    record_program(
        taught,
        _others(simulate(300, seed=2, playbook=email_playbook, decided_at=(AT + 30 * DAY).to_pydatetime())),
        email_playbook,
        campaign="second",
        at=AT + 30 * DAY,
    )
    first, just_before, then = (
        ledger_dataset(taught, email_playbook, until=AT + WINDOW + days * DAY, rare=1) for days in (1, 29, 30)
    )
    assert fingerprint(first) == fingerprint(just_before) != fingerprint(then)
    assert set(first.contacts["campaign"]) == {"first"}
    assert f"{len(then.contacts) - len(first.contacts):,} decisions whose windows are open" in first.left_out
    assert then.left_out == ()
    assert set(
        ledger_dataset(taught, email_playbook, until=LATER, campaigns=["second"], rare=1).contacts["campaign"]
    ) == {"second"}
    with pytest.raises(InputError, match="did you mean 'second'"):
        ledger_dataset(taught, email_playbook, until=LATER, campaigns=["secnd"])


def test_it_is_the_time_of_an_event_that_counts(taught, program, email_playbook):
    found = ledger_dataset(taught, email_playbook, until=AT + WINDOW, rare=1)
    assert found.outcomes["at"].max() < AT + WINDOW
    inside = program.outcomes[program.outcomes["at"] < AT + WINDOW]
    inside = inside[inside["customer_id"].isin(found.contacts["customer_id"])]
    assert sorted(found.outcomes["event_id"]) == sorted(inside["event_id"])
    with pytest.raises(InputError, match="had closed by"):
        ledger_dataset(taught, email_playbook, until=AT + WINDOW - DAY)


def test_whether_it_was_sent_changes_no_decision(ledger, program, email_playbook):
    unsent = program.outcomes[program.outcomes["type"] != "sent"]
    record_program(ledger, type(program)(**{**vars(program), "outcomes": unsent}), email_playbook)
    found = ledger_dataset(ledger, email_playbook, until=LATER, rare=1)
    assert (found.contacts["action"] != CONTROL).sum() > 200


def test_the_erased_do_not_teach(taught, program, email_playbook):
    gone = program.contacts["customer_id"].iloc[5]
    before = ledger_dataset(taught, email_playbook, until=LATER, rare=1)
    taught.erase(gone)
    after = ledger_dataset(taught, email_playbook, until=LATER, rare=1)
    assert len(before.contacts) - len(after.contacts) == 1
    for table in (after.customers, after.contacts, after.outcomes):
        assert not table["customer_id"].str.startswith("erased").any()
        assert gone not in set(table["customer_id"])
    assert after.left_out == ("1 decisions on people who were erased, or of whom no snapshot is so old",)
    assert fingerprint(before) != fingerprint(after)


CHANCES = {"control": 0.2, "better_email_update": 0.5, "miss_you_email_percent_off": 0.3}


@pytest.fixture
def small(ledger, email_playbook, program):
    """Records single decisions on people of whom all is known."""
    person = program.customers.iloc[[0]]
    ledger.add_campaign("spring", **about_campaign(email_playbook, title="Spring", started_at=AT.to_pydatetime()))

    def decide(customer_id: str, action: str, at=AT, chances=CHANCES, assignment="policy", number=0, **values):
        decisions = decided(customer_id, action=action, assignment=assignment, probability=chances[action], **values)
        decisions["decision_id"] = f"{customer_id}-{number}"
        known = person.assign(customer_id=customer_id, as_of=at - DAY, churned_at=at - 60 * DAY)
        table = pd.DataFrame([chances], index=decisions.index)
        ledger.add_decisions(decisions, at, table, customers=known.reset_index(drop=True))

    decide("a", CONTROL)
    decide("b", "better_email_update")
    return decide


def decisions_found(ledger, playbook, **options) -> list[str]:
    return ledger_dataset(ledger, playbook, until=LATER, **{"rare": 1, **options}).contacts["decision_id"].tolist()


def test_what_was_certain_teaches_nothing(small, ledger, email_playbook):
    certain = {"control": 1.0, "better_email_update": 0.0, "miss_you_email_percent_off": 0.0}
    small("stopped", CONTROL, chances=certain, assignment="suppressed")
    small("alone", CONTROL, chances=certain)
    small("held", CONTROL, assignment="holdout")
    small("by-rules", "miss_you_email_percent_off", assignment="fallback")
    found = ledger_dataset(ledger, email_playbook, until=LATER, rare=1)
    assert found.contacts["decision_id"].tolist() == ["a-0", "b-0", "by-rules-0", "held-0"]
    assert found.left_out == ("1 decisions that could have been no other",)


def test_of_overlapping_windows_the_first_counts(small, ledger, email_playbook):
    small("a", CONTROL, at=AT + 30 * DAY, number=1)
    small("a", "better_email_update", at=AT + 89 * DAY, number=2)
    small("a", "better_email_update", at=AT + 90 * DAY, number=3)
    small("b", "better_email_update", at=AT + 109 * DAY, number=1)
    found = ledger_dataset(ledger, email_playbook, until=LATER, rare=1)
    assert found.contacts["decision_id"].tolist() == ["a-0", "a-3", "b-0", "b-1"]
    assert found.left_out == ("2 decisions whose windows overlap that of an earlier one on the same person",)
    matured_frame(found, LATER)  # which refuses windows that overlap
    # each decision goes with what was known of the person then
    assert (frame_of(found)["decided_at"] - frame_of(found)["as_of"] == DAY).all()


def test_events_count_in_the_window_of_their_decision_only(small, ledger, email_playbook):
    for number, days in enumerate((-1, 0, 90, 91)):
        ledger.add_outcomes(event("b", "purchased", AT + days * DAY, event_id=f"e{number}", amount=10.0))
    found = ledger_dataset(ledger, email_playbook, until=LATER, rare=1)
    assert found.outcomes["event_id"].tolist() == ["e1", "e2"]
    assert frame_of(found).set_index("decision_id").loc["b-0", "revenue"] == 20


def test_chances_that_were_not_logged_are_the_shares_where_they_can_be(small, ledger, email_playbook, program):
    people = [f"i{k}" for k in range(12)]
    contacts = pd.DataFrame(
        {
            "decision_id": people,
            "customer_id": people,
            "decided_at": AT,
            "campaign": ["fixed"] * 6 + ["varied"] * 6,
            "action": [CONTROL, "better_email_update"] * 6,
            "probability": [0.25, 0.75] * 3 + [0.25, 0.5] * 3,
            "cost": 0.0,
        }
    )
    ledger.add_contacts(contacts)
    known = [program.customers.iloc[[0]].assign(customer_id=p, as_of=AT, churned_at=AT - DAY) for p in people]
    ledger.add_customers(pd.concat(known, ignore_index=True))
    found = ledger_dataset(ledger, email_playbook, until=LATER, rare=1)
    chances = logged_propensity(found.contacts, [CONTROL, "better_email_update", "miss_you_email_percent_off"])
    fixed = (found.contacts["campaign"] == "fixed").to_numpy()
    assert fixed.sum() == 6
    assert chances[fixed].to_numpy().tolist() == [[0.25, 0.75, 0.0]] * 6
    assert "varied" not in set(found.contacts["campaign"])
    assert found.left_out == ("6 decisions whose chances were not logged",)


def test_people_without_a_snapshot_then_are_left_out(small, ledger, email_playbook):
    decisions = decided("nobody", action=CONTROL, probability=0.2)
    ledger.add_decisions(decisions, AT, pd.DataFrame([CHANCES]))
    ledger.add_customers(snapshot("nobody", AT + DAY))
    assert decisions_found(ledger, email_playbook) == ["a-0", "b-0"]


def test_without_an_action_chances_are_those_of_who_was_not_served_it(small, ledger, email_playbook):
    three = {CONTROL: 0.2, "better_email_update": 0.2, "gone": 0.6}
    small("c", "gone", chances=three)
    small("d", CONTROL, chances=three)
    small("e", CONTROL, chances={CONTROL: 0.4, "better_email_update": 0.0, "gone": 0.6})
    found = ledger_dataset(ledger, email_playbook, until=LATER, rare=1)
    contacts = found.contacts.set_index("decision_id")
    assert list(contacts.index) == ["a-0", "b-0", "d-0"]
    assert "probability_gone" not in contacts
    assert contacts.loc["d-0", "probability"] == pytest.approx(0.5)
    assert contacts.filter(like="probability_").sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert found.left_out == (
        "1 decisions for gone, which the playbook has no longer",
        "1 decisions that could have been no other but for such an action",
    )


def test_an_action_that_was_something_else_under_its_name_is_another(small, ledger, email_playbook):
    content = email_playbook.model_dump()
    content["actions"]["better_email_update"]["offer"] = "none"
    before = Playbook.model_validate(content)
    approve_playbook(ledger, before, who="Ann")
    small("c", "better_email_update", playbook_version=before.version)
    small("d", CONTROL, playbook_version=before.version)
    small("e", "better_email_update", playbook_version=email_playbook.version)
    found = ledger_dataset(ledger, email_playbook, until=LATER, rare=1)
    chances = found.contacts.set_index("decision_id").filter(like="probability_")
    assert found.left_out[0] == (
        f"1 decisions for better_email_update as in playbook {before.version}, which the playbook has no longer"
    )
    # without the third action, which nobody was served, the one held out under the other playbook had no choice left
    assert list(chances.index) == ["a-0", "b-0", "e-0"]
    assert chances.loc["e-0"].to_dict() == pytest.approx(
        {"probability_control": 2 / 7, "probability_better_email_update": 5 / 7}
    )


def test_an_action_that_was_rarely_served_is_left_out_with_its_chances(taught, program, email_playbook):
    counts = program.contacts["action"].value_counts().drop(CONTROL)
    rarer, other = counts.idxmin(), counts.idxmax()
    assert counts[rarer] < counts[other]
    found = ledger_dataset(taught, email_playbook, until=LATER, rare=int(counts[rarer]) + 1)
    assert set(found.contacts["action"]) == {CONTROL, other}
    assert set(found.contacts.filter(like="probability_")) == {"probability_control", f"probability_{other}"}


def test_where_nothing_teaches_the_cause_comes_first(taught, program, email_playbook):
    said = r"until 2026-\S+ 09:00 UTC: {} that was drawn by chance and whose window of 90 days had closed by then"
    rare = said.format("every action was served less than 300 times by a decision")
    with pytest.raises(
        InputError, match=rf"{rare}; wait for more of these decisions \(left out: \d+ decisions for better_email"
    ):
        ledger_dataset(taught, email_playbook, until=LATER, rare=300)
    with pytest.raises(
        InputError, match=r", 5 % of the people, at random: every action was .* by then; read more of the people"
    ):
        ledger_dataset(taught, email_playbook, until=LATER, rare=300, people_share=0.05)
    # where windows are open it does not matter what is rare
    none = said.format("holds no decision")
    with pytest.raises(InputError, match=rf"{none} \(left out: .* decisions whose windows are open\)$"):
        ledger_dataset(taught, email_playbook, until=AT + WINDOW - DAY, rare=300)


def test_doubly_robust_averages_stay_right_without_an_action():
    """Chances of the removed action that depend strongly on the person, whose effect depends on them too."""
    from propensity.ledger_dataset import _Drawn

    rng = np.random.default_rng(0)
    n = 60_000
    x = rng.integers(0, 2, n)
    chances = np.where(x[:, None] == 1, [0.1, 0.1, 0.8], [0.45, 0.45, 0.1])
    actions = [CONTROL, "better", "gone"]
    arm = (rng.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    effect = np.where(x == 1, 3.0, 1.0)
    y = x + effect * (arm == 1) + 10 * (arm == 2) + rng.normal(size=n)
    table = pd.DataFrame(
        {
            "decision_id": np.arange(n).astype(str),
            "customer_id": np.arange(n).astype(str),
            "decided_at": AT,
            "action": np.array(actions)[arm],
        }
    )
    drawn = _Drawn(table, chances, actions)
    drawn.select(WINDOW, LATER, ["better"], 1)
    kept = drawn.table["decision_id"].astype(int).to_numpy()
    told = pd.DataFrame(drawn.chances, columns=drawn.actions)
    assert (drawn.table["action"] != "gone").all()
    # outcome models that know nothing: only right chances can make the averages right
    scores = dr_scores(y[kept], drawn.table["action"], told, told * 0)
    gain = (scores["better"] - scores[CONTROL]).to_numpy()
    for group in (0, 1):
        inside = x[kept] == group
        error = gain[inside].std() / np.sqrt(inside.sum())
        assert gain[inside].mean() == pytest.approx(effect[x == group][0], abs=4 * error)
    # of those who remain, and by the chance of remaining of all
    error = gain.std() / np.sqrt(len(kept))
    assert gain.mean() == pytest.approx(effect[kept].mean(), abs=4 * error)
    weights = 1 / (1 - chances[kept, 2])
    of_all = (weights * gain).sum() / weights.sum()
    spread = np.sqrt((weights**2 * (gain - of_all) ** 2).sum()) / weights.sum()
    assert of_all == pytest.approx(effect.mean(), abs=4 * spread)
    # which the logged chances would not have
    wrong = chances[kept][:, :2]
    naive = dr_scores(y[kept], drawn.table["action"], pd.DataFrame(wrong, columns=told.columns), told * 0)
    assert abs((naive["better"] - naive[CONTROL])[x[kept] == 1].mean() - 3) > 1


def test_the_newest_playbook_is_the_one_approved_last(ledger, email_playbook, small_playbook):
    with pytest.raises(InputError, match="holds no playbook"):
        newest_playbook(ledger)
    ledger.add_campaign("one", **about_campaign(email_playbook, title="One", started_at=AT.to_pydatetime()))
    assert newest_playbook(ledger).version == email_playbook.version
    approve_playbook(ledger, small_playbook, who="Ann")
    assert newest_playbook(ledger).version == small_playbook.version
    approve_playbook(ledger, email_playbook, who="Ann")
    assert newest_playbook(ledger).version == email_playbook.version


def _others(program):
    """The same on other people."""
    ids = {"customer_id", "decision_id", "event_id"}
    tables = {
        name: table.assign(**{c: ("o-" + table[c].astype("str")).where(table[c].notna()) for c in ids & set(table)})
        for name, table in vars(program).items()
        if isinstance(table, pd.DataFrame) and name in ("customers", "contacts", "outcomes")
    }
    return type(program)(**{**vars(program), **tables})
