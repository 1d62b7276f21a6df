"""How often does monitoring raise a false alarm where nothing is wrong, and does it find what is?

`python benchmarks/monitor.py --models 20 --runs 10 --found-runs 20`. Each model is trained and assessed on a simulated
program of its own; each run follows it over a quarter and seven weeks of other people, every wave decided by the model
and answered by the simulation. Seeds are 0, 1, 2, ...; none is left out. Runs of one model share its reference, so the
interval of the share of false alarms is that of means by model. Then the same with one thing broken in the last week.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from propensity import playbook
from propensity.frame import split, training_frame
from propensity.held_out import held_out_people
from propensity.model import DecisionModel
from propensity.monitoring.early import Early
from propensity.monitoring.monitor import Observed, came_true, monitor
from propensity.monitoring.results import CHECKS, FALSE_ALARMS, Monitoring, Period
from propensity.playbook import Playbook
from propensity.policy import holdout_share
from propensity.simulation import DECIDED_AT, simulate
from propensity.simulation.followed import FollowedWave, follow, recorded

ACTIONS = ("better_email_update", "miss_you_email_percent_off")
UNTIL = pd.Timestamp(DECIDED_AT) + pd.Timedelta(days=200)
WEEK = pd.Timedelta(days=7)
PERIOD = Period(UNTIL - 5 * WEEK, UNTIL - WEEK, UNTIL)
MATURED = UNTIL - pd.Timedelta(days=95)
EFFECT_SCALE = 6.0
Fault = Callable[[Observed], Observed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--runs", type=int, default=10, help="of each model")
    parser.add_argument("--found-runs", type=int, default=20, help="with each fault, of the first models in turn")
    parser.add_argument("--people", type=int, default=1_000, help="in each week's wave")
    options = parser.parse_args()
    book, start = program(), time.monotonic()
    models = [trained(book, seed) for seed in range(options.models)]
    print(f"{options.models} models trained in {time.monotonic() - start:.0f} s")
    start = time.monotonic()
    share = np.empty((options.models, options.runs), dtype=bool)
    raised: Counter[str] = Counter()
    tested: Counter[str] = Counter()
    looked_at: dict[str, list[float]] = {name: [] for name in CHECKS}
    for m, model in enumerate(models):
        for run in range(options.runs):
            found = monitor(model, weeks(model, 1_000 * (m + 1) + run, options.people), PERIOD)
            share[m, run] = bool(found.alarms)
            raised.update(c.name for c in found.alarms)
            tested.update(c.name for c in found.checks if c.status != "not enough data")
            for c in found.checks:
                looked_at[c.name] += [f.p_value for f in c.findings if f.status != "not enough data"]
    by_model = share.mean(axis=1)
    error = by_model.std(ddof=1) / np.sqrt(len(by_model)) if len(by_model) > 1 else float("nan")
    print(
        f"nothing wrong: an alarm in {share.mean():.1%} of {share.size} runs (standard error {error:.1%}; to reach: at "
        f"most {FALSE_ALARMS:.0%}), {time.monotonic() - start:.0f} s"
    )
    for name in CHECKS:
        p_values = np.array(looked_at[name])
        print(
            f"  {name}: an alarm in {raised[name]} of {tested[name]} runs with enough data; of {len(p_values):,} "
            f"findings {(p_values < 0.05).mean():.1%} have p < 0.05"
        )
    for title, (check, fault) in FAULTS.items():
        found_in, elsewhere = 0, 0
        for run in range(options.found_runs):
            model = models[run % len(models)]
            found = monitor(model, fault(weeks(model, 900_000 + run, options.people)), PERIOD)
            found_in += check in {c.name for c in found.alarms}
            elsewhere += bool({c.name for c in found.alarms} - {check})
        print(f"{title}: {check} found it in {found_in} of {options.found_runs} runs; another check in {elsewhere}")


def program() -> Playbook:
    """Two e-mails, and half of the people held out: a few thousand people then tell what contact does."""
    book = playbook.load("default")
    return book.model_copy(
        update={
            "actions": {name: book.actions[name] for name in ACTIONS},
            "learning": book.learning.model_copy(update={"holdout_share": 0.3, "campaign_holdout_share": 0.3}),
        }
    )


def trained(book: Playbook, seed: int, people: int = 8_000) -> DecisionModel:
    """A model that learnt from one half of a simulated wave and was assessed on the other."""
    wave = simulate(people, seed=seed, playbook=book, effect_scale=EFFECT_SCALE)
    window = book.program.attribution_window_days
    frame = training_frame(wave.customers, wave.contacts, wave.outcomes, window_days=window)
    sides = split(frame, window_days=window, share=0.5, seed=seed, kind="customers")
    model = DecisionModel(book, seed).fit(sides.training)
    unseen = held_out_people(model, sides.held_out)
    early = Early.of(unseen, wave.outcomes)
    model.reference = model.reference.with_held_out(unseen.predictions, came_true(unseen), early)
    return model


def weeks(model: DecisionModel, seed: int, people: int, matured: int = 4_000) -> Observed:
    """What a ledger holds of a wave whose window has closed and of one wave a week for seven weeks."""
    days = [MATURED, *(UNTIL - k * WEEK - pd.Timedelta(days=1) for k in range(6, -1, -1))]
    waves: dict = {}
    for number, at in enumerate(days):
        n = people if number else matured
        waves[at] = decided(model, n, 100 * seed + number, at, name=f"s{seed}w{number}-")
    decisions, customers, events = recorded(waves)
    shares = {model.playbook.version: holdout_share(model.playbook.learning)}
    return Observed(decisions, customers, events[events["at"] < UNTIL], shares)


def decided(model: DecisionModel, n: int, seed: int, at: pd.Timestamp, name: str) -> FollowedWave:
    """A wave on which the model decides."""
    return follow(
        n,
        lambda customers: model.decide_with_probabilities(customers, at=at, campaign="weekly"),
        seed=seed,
        playbook=model.playbook,
        decided_at=at,
        effect_scale=EFFECT_SCALE,
        name=name,
    )


def shifted_feature(observed: Observed) -> Observed:
    """In the last week everybody's tenure is half as long."""
    late = observed.customers["as_of"] >= PERIOD.since - pd.Timedelta(days=1)
    values = observed.customers["tenure_months"].where(~late, observed.customers["tenure_months"] / 2)
    return replace(observed, customers=observed.customers.assign(tenure_months=values))


def shorter_tenure(observed: Observed) -> Observed:
    """In the last week everybody's tenure is a quarter shorter."""
    late = observed.customers["as_of"] >= PERIOD.since - pd.Timedelta(days=1)
    values = observed.customers["tenure_months"].where(~late, observed.customers["tenure_months"] * 0.75)
    return replace(observed, customers=observed.customers.assign(tenure_months=values))


def unit_changed(observed: Observed) -> Observed:
    """In the last week yearly values come in cents."""
    late = observed.customers["as_of"] >= PERIOD.since - pd.Timedelta(days=1)
    values = observed.customers["annual_value"].where(~late, observed.customers["annual_value"] * 100)
    return replace(observed, customers=observed.customers.assign(annual_value=values))


def flipped_arms(observed: Observed) -> Observed:
    """In the last week each of the two actions is recorded, and carried out, for the other."""
    late = observed.decisions["decided_at"] >= PERIOD.since
    other = dict(zip(ACTIONS, reversed(ACTIONS), strict=True))
    action = observed.decisions["action"].where(~late, observed.decisions["action"].replace(other))
    return replace(observed, decisions=observed.decisions.assign(action=action))


def dead_pixel(observed: Observed) -> Observed:
    """In the last week no click is reported."""
    lost = (observed.events["type"] == "clicked") & (observed.events["at"] >= PERIOD.since)
    return replace(observed, events=observed.events[~lost])


def fewer_opened(observed: Observed) -> Observed:
    """For two weeks every second opening has not happened."""
    lost = (observed.events["type"] == "opened") & (observed.events["at"] >= PERIOD.since - WEEK)
    return replace(observed, events=observed.events[~(lost & (np.arange(len(lost)) % 2 == 0))])


def slow_mailer(observed: Observed) -> Observed:
    """In the last ten days one in six of what was decided is not sent."""
    late = observed.decisions.loc[observed.decisions["decided_at"] >= UNTIL - pd.Timedelta(days=10), "decision_id"]
    stuck = observed.events["decision_id"].isin(set(late.iloc[::6]))
    return replace(observed, events=observed.events[~stuck])


def stuck_mailer(observed: Observed) -> Observed:
    """In the last ten days half of what was decided is not sent."""
    late = observed.decisions.loc[observed.decisions["decided_at"] >= UNTIL - pd.Timedelta(days=10), "decision_id"]
    stuck = observed.events["decision_id"].isin(set(late.iloc[::2]))
    return replace(observed, events=observed.events[~stuck])


def few_held_out(observed: Observed) -> Observed:
    """In the last week one in five of those who should be held out is sent something."""
    late = (observed.decisions["decided_at"] >= PERIOD.since) & (observed.decisions["assignment"] == "holdout")
    sent = late & (late.cumsum() % 5 == 0)
    assignment = observed.decisions["assignment"].where(~sent, "policy")
    return replace(observed, decisions=observed.decisions.assign(assignment=assignment))


def worse_product(observed: Observed) -> Observed:
    """Of the returns of the matured wave two in three did not happen."""
    returns = observed.events["type"].isin(["reactivated", "purchased"])
    early = observed.events["at"] < PERIOD.before
    person = observed.events["customer_id"].str[-1].isin(list("012345"))
    return replace(observed, events=observed.events[~(returns & early & person)])


FAULTS: dict[str, tuple[str, Fault]] = {
    "tenure a quarter shorter": ("feature_drift", shorter_tenure),
    "tenure halved": ("feature_drift", shifted_feature),
    "yearly value in cents": ("feature_drift", unit_changed),
    "two arms swapped": ("served_shares", flipped_arms),
    "no clicks any more": ("missing_outcomes", dead_pixel),
    "every second opening gone": ("responses", fewer_opened),
    "one in six not sent": ("sent", slow_mailer),
    "half not sent": ("sent", stuck_mailer),
    "a fifth of the holdout sent": ("assignment_shares", few_held_out),
    "two thirds of returns gone": ("calibration", worse_product),
}
"""What is broken, and the check that should find it."""


def one_line(found: Monitoring) -> str:
    """The checks and what came out."""
    return ", ".join(f"{c.name} {c.status}" for c in found.checks)


if __name__ == "__main__":
    main()
