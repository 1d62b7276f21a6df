"""The champion changes through the gate or by force, always with a row in the ledger, and can be taken back."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from propensity import registry
from propensity.errors import InputError, JobError
from propensity.progress import Steps
from propensity_training import promotion
from propensity_training.source import LedgerSource

NAME = "propensity-small"


def champion():
    return registry.champion_version(NAME)


def examine(dataset, which="challenger", margin=0.0):
    with Steps(3) as steps:
        return promotion.examine(NAME, which, dataset, margin_currency=margin, now=None, steps=steps)


def promote(ledger, verdict, forced=False, why="because"):
    promotion.promote(ledger, verdict, who="ann", why=why, forced=forced)


def test_a_challenger_that_decides_the_same_takes_over(register_version, small_dataset, ledger):
    register_version()
    verdict = examine(small_dataset)
    assert verdict.passed, verdict.checks
    assert verdict.comparison.n_different == 0
    before = pd.Timestamp.now("UTC")
    promote(ledger, verdict, why=verdict.sentence)
    assert champion() == "2"
    (row,) = ledger.promotions(NAME)
    assert [row[k] for k in ("who", "model", "from_version", "to_version", "kind")] == [
        *("ann", NAME, "1", "2", "promotion")
    ]
    assert row["why"].startswith("The two decide the same for all")
    assert [check["name"] for check in row["checks"]] == [check.name for check in verdict.checks]
    assert before <= row["at"] <= pd.Timestamp.now("UTC")
    tags = MlflowClient().get_model_version(NAME, "2").tags
    assert (tags["champion_by"], tags["champion_from"], tags["champion_kind"]) == ("ann", "1", "promotion")
    assert tags["champion_why"] == row["why"]


def test_a_worse_challenger_is_refused_and_changes_nothing(register_version, small_dataset, ledger):
    register_version(mode="nobody")
    verdict = examine(small_dataset)
    assert not verdict.passed
    assert [check.name for check in verdict.checks if not check.passed] == ["value"]
    assert "shown to be worth less" in verdict.sentence
    assert champion() == "1"
    assert ledger.promotions() == []


def test_a_better_challenger_is_let_through(register_version, small_dataset, ledger):
    register_version(mode="nobody")
    promote(ledger, examine(small_dataset), forced=True)
    assert champion() == "2"
    verdict = examine(small_dataset, "1")
    assert verdict.passed
    assert "shown to be worth more" in verdict.sentence


def test_the_margin_lets_a_small_loss_through(register_version, small_dataset):
    register_version(mode="nobody")
    loss = examine(small_dataset).comparison.difference["expected_value"].low
    assert loss < 0
    assert examine(small_dataset, margin=-loss + 0.01).passed
    assert not examine(small_dataset, margin=-loss - 0.01).passed


def test_what_is_forced_is_recorded_as_forced(register_version, small_dataset, ledger):
    register_version(mode="nobody")
    promote(ledger, examine(small_dataset), forced=True, why="a test")
    (row,) = ledger.promotions()
    assert (row["kind"], row["why"], champion()) == ("forced", "a test", "2")
    assert not all(check["passed"] for check in row["checks"])


def test_rolling_back_goes_down_the_champions_one_by_one(register_version, small_dataset, ledger):
    for version in ("2", "3"):
        register_version()
        promote(ledger, examine(small_dataset, version))
    stack = [champion()]
    for _ in range(2):
        before, after = promotion.roll_back(ledger, NAME, who="bob", why="complaints")
        assert (before.version, after.version) == (stack[-1], champion())
        stack.append(champion())
    assert stack == ["3", "2", "1"]
    with pytest.raises(InputError, match=r"propensity-small/1: the ledger .* nothing to roll back to"):
        promotion.roll_back(ledger, NAME, who="bob", why="complaints")
    rows = ledger.promotions(NAME)
    assert [(r["from_version"], r["to_version"], r["kind"]) for r in rows] == [
        ("1", "2", "promotion"),
        ("2", "3", "promotion"),
        ("3", "2", "rollback"),
        ("2", "1", "rollback"),
    ]
    assert {r["who"] for r in rows[2:]} == {"bob"}


def test_after_a_rollback_and_a_new_promotion_the_way_back_is_the_new_one(register_version, small_dataset, ledger):
    for version in ("2", "3"):
        register_version()
        promote(ledger, examine(small_dataset, version))
        promotion.roll_back(ledger, NAME, who="bob", why="no")
        assert champion() == "1"


def test_another_models_promotions_are_no_way_back(register_version, ledger):
    ledger.add_promotion(who="x", model="other", from_version="7", to_version="1", why="x")
    with pytest.raises(InputError, match="nothing to roll back to"):
        promotion.roll_back(ledger, NAME, who="bob", why="no")


@pytest.mark.parametrize("broken", ["set_registered_model_alias", "set_model_version_tag"])
def test_where_mlflow_fails_neither_alias_nor_ledger_changes(
    register_version, small_dataset, ledger, monkeypatch, broken
):
    register_version()
    verdict = examine(small_dataset)

    def fail(*_, **__):
        raise MlflowException("the disk is full")

    monkeypatch.setattr(MlflowClient, broken, fail)
    with pytest.raises(JobError, match="the disk is full"):
        promote(ledger, verdict)
    monkeypatch.undo()
    assert ledger.promotions() == []


def test_whoever_comes_second_is_told(register_version, small_dataset, ledger):
    for _ in range(2):
        register_version()
    verdicts = [examine(small_dataset, version) for version in ("2", "3")]
    promote(ledger, verdicts[0])
    with pytest.raises(JobError, match="version 2 became the champion while this was decided on"):
        promote(ledger, verdicts[1])
    assert champion() == "2"
    assert len(ledger.promotions()) == 1


def test_the_champion_cannot_challenge_itself(register_version, small_dataset):
    for which in ("1", "champion"):
        with pytest.raises(InputError, match="propensity-small/1: is the champion already"):
            examine(small_dataset, which)


@pytest.mark.parametrize(("mode", "passed"), [("nobody", False), ("one_action", True)])
def test_the_first_champion_is_judged_by_its_own_gate(register_version, small_dataset, ledger, mode, passed):
    challenger = register_version(mode=mode, name="fresh")
    MlflowClient().delete_registered_model_alias("fresh", "champion")
    with Steps(3) as steps:
        verdict = promotion.examine("fresh", "challenger", None, margin_currency=0, now=None, steps=steps)
    assert (verdict.passed, verdict.champion, verdict.comparison) == (passed, None, None)
    assert [check.name for check in verdict.checks] == ["own gate"]
    if passed:
        promote(ledger, verdict)
        assert registry.champion_version("fresh") == challenger.version
        assert ledger.promotions()[0]["from_version"] is None


def test_without_data_the_challengers_own_are_read_again(register_version):
    register_version()
    with pytest.raises(InputError, match=r"propensity-small/2: its run names no data; say with --data"):
        examine(None)


@pytest.mark.parametrize(
    ("new", "old", "found"),
    [
        # more were there, and more taught
        ((2_100, 4_200), (1_929, 3_879), None),
        # the same ones, differently drawn
        (
            (1_950, 3_879),
            (1_929, 3_879),
            "learnt from 1,950 of 3,879 decisions, the champion .*/1 from 1,929 of 3,879 decisions",
        ),
        # more were there, but more are held out
        ((1_000, 4_200), (1_929, 3_879), "learnt from 1,000 of 4,200 decisions, "),
        # runs of before, which do not say how many there were
        ((2_100, 4_200), (1_929, None), "the champion .*/1 from decisions of which its run does not say how many"),
        ((2_100, None), (1_929, 3_879), "learnt from decisions of which its run does not say how many there were, the"),
    ],
)
def test_a_retraining_is_one_on_more_decisions(register_version, monkeypatch, new, old, found):
    challenger, standing = register_version(), registry.find(NAME, "1")

    def told(registered):
        counts = zip(("n_training", "n_contacts"), new if registered == challenger else old, strict=True)
        return {"playbook": "small", **{name: str(count) for name, count in counts if count is not None}}

    monkeypatch.setattr(registry, "parameters", told)
    if found is None:
        promotion._require_more_decisions(challenger, standing)
        return
    with pytest.raises(InputError, match=rf"^model {NAME}/2: .*{found}.*: it is no retraining on more of them; leave"):
        promotion._require_more_decisions(challenger, standing)


def test_what_the_champion_was_granted_stands_for_a_model_that_learns_from_more(registry_copy, small_dataset, tmp_path):
    more = replace(small_dataset, contacts=pd.concat([small_dataset.contacts, small_dataset.contacts.iloc[:1]]))
    source = LedgerSource(f"sqlite:///{tmp_path / 'ledger.db'}", pd.Timestamp.now("UTC"), small_dataset.playbook)
    granted = registry.parameters(registry.find(NAME, "champion"))["mode"]
    assert granted != "nobody"
    # it learnt from other people than the ledger's
    assert promotion.standing_grant(NAME, more, source) == "nobody"
    told = registry.parameters(registry.find(NAME, "champion")) | source.to_parameters()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "parameters", lambda registered: told)
        assert promotion.standing_grant(NAME, more, source) == granted
        # not for the same decisions, other campaigns, another playbook, or where there is no champion
        assert promotion.standing_grant(NAME, small_dataset, source) == "nobody"
        assert promotion.standing_grant(NAME, more, replace(source, campaigns=("a",))) == "nobody"
        other = small_dataset.playbook.model_copy(update={"name": "other"})
        assert promotion.standing_grant(NAME, replace(more, playbook=other), source) == "nobody"
        # nor where contact costs more, or a return is worth less, than when it was granted
        value = more.playbook.value.model_copy(update={"margin_share": 0.05})
        cheaper = more.playbook.model_copy(update={"value": value})
        assert promotion.standing_grant(NAME, replace(more, playbook=cheaper), source) == "nobody"
        assert promotion.standing_grant("nothing", more, source) == "nobody"
