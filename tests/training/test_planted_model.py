"""A bad model is stopped by the gate; put in by force it is seen within one wave, and one command takes it out."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest
from planted import best_arm, mirrored

from propensity import registry
from propensity.campaigns import about_campaign
from propensity.frame import training_frame
from propensity.progress import Steps
from propensity.simulation import DECIDED_AT, simulate
from propensity.simulation.followed import follow
from propensity_training import promotion
from propensity_training.comparison import compare
from propensity_training.gate import check_value
from propensity_training.pipeline import STEPS, Settings, learn, train

NAME = "propensity-small"
WAVE_AT = pd.Timestamp(DECIDED_AT) + pd.Timedelta(days=120)
UNTIL = WAVE_AT + pd.Timedelta(days=31)


def others(dataset, seed: int, n: int = 3_000):
    """The same program on other people."""
    program = simulate(n, seed=seed, playbook=dataset.playbook, effect_scale=12)
    tables = {}
    for name in ("customers", "contacts", "outcomes"):
        table = getattr(program, name)
        ids = [c for c in ("customer_id", "decision_id", "event_id") if c in table]
        tables[name] = table.assign(**{c: (f"s{seed}-" + table[c].astype("str")).where(table[c].notna()) for c in ids})
    return replace(dataset, **tables)


@pytest.fixture(scope="module")
def planted_data(small_dataset):
    return mirrored(small_dataset, best_arm(small_dataset))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_gate_stops_it_where_its_twin_may_pass(small_dataset, trained, seed):
    """Judged on people whom none of them saw; the margin is a fifth of what the champion is worth."""
    data = others(small_dataset, 100 + seed)
    judges = others(small_dataset, 200 + seed)
    frame = training_frame(judges.customers, judges.contacts, judges.outcomes, window_days=90)
    values = {}
    for name, taught in (("twin", data), ("planted", mirrored(data, best_arm(data)))):
        with Steps(STEPS) as steps:
            model = learn(taught, Settings(0.5, seed, "customers"), now=None, steps=steps).model
        compared = compare(model, trained.model, frame, small_dataset.playbook)
        margin = 0.2 * compared.champion["expected_value"].value
        values[name] = check_value(compared, margin, "USD").passed
    assert values == {"twin": True, "planted": False}


def record_wave(ledger, model, *, campaign: str, seed: int, people: int = 5_000) -> None:
    """A wave that a model decides, which tries a fifth of the people, and that is carried out."""
    learning = model.playbook.learning.model_copy(update={"explore_share": 0.2})
    model.playbook = model.playbook.model_copy(update={"learning": learning})
    made = follow(
        people,
        lambda customers: model.decide_with_probabilities(customers, at=WAVE_AT, campaign=campaign),
        seed=seed,
        playbook=model.playbook,
        decided_at=WAVE_AT,
        effect_scale=12,
        name=f"{campaign}-",
    )
    about = about_campaign(model.playbook, title=campaign, started_at=WAVE_AT.to_pydatetime())
    ledger.add_campaign(campaign, **about)
    ledger.add_decisions(made.decisions, WAVE_AT, made.probabilities, customers=made.customers)
    ledger.add_outcomes(made.outcomes)


def monitored(propensity, url, campaign, file) -> tuple[int, dict]:
    code, _, _ = propensity(
        *("monitor", "--model", NAME, "--campaign", campaign, "--ledger", url, "--json", file),
        *("--since", WAVE_AT.isoformat(), "--until", UNTIL.isoformat()),
    )
    found = json.loads(file.read_text())
    return code, {check["name"]: check for check in found["checks"]}


def test_put_in_by_force_it_is_seen_and_taken_out(
    small_dataset, planted_data, registry_copy, ledger, propensity, tmp_path
):
    arm = best_arm(small_dataset)
    with Steps(STEPS) as steps:
        train(planted_data, held_out_share=0.5, seed=0, alias="challenger", steps=steps, kind="customers")
    with Steps(promotion.STEPS) as steps:
        verdict = promotion.examine(
            NAME, "challenger", others(small_dataset, 300), margin_currency=0, now=None, steps=steps
        )
    assert not verdict.passed
    record_wave(ledger, registry.load(NAME)[0], campaign="before", seed=5)
    code, checks = monitored(propensity, ledger.name, "before", tmp_path / "before.json")
    assert (code, checks["early_effects"]["status"]) == (0, "ok")

    promotion.promote(ledger, verdict, who="Eve", why="in a hurry", forced=True)
    assert registry.champion_version(NAME) == "2"
    record_wave(ledger, registry.load(NAME)[0], campaign="after", seed=6)
    code, checks = monitored(propensity, ledger.name, "after", tmp_path / "after.json")
    assert (code, checks["early_effects"]["status"]) == (3, "alarm")
    assert arm in [f["name"] for f in checks["early_effects"]["findings"] if f["status"] == "alarm"]

    asked = ("--model", NAME, "--ledger", ledger.name, "--who", "Ann", "--why", "brings nobody back")
    code, out, _ = propensity("promote", "--rollback", *asked)
    assert code == 0
    assert "propensity-small/1 is the champion again" in out
    assert registry.champion_version(NAME) == "1"
    rows = ledger.promotions(NAME)
    assert [(r["kind"], r["who"], r["from_version"], r["to_version"], r["why"]) for r in rows] == [
        ("forced", "Eve", "1", "2", "in a hurry"),
        ("rollback", "Ann", "2", "1", "brings nobody back"),
    ]
