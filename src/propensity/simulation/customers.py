"""Simulated customers who left: what a company would know of them, and what it would not.

The true reason why somebody left, their taste for our messages and what they would spend are hidden. The table holds
traces of them: a reason that a minority states (and not always truly), and features that lean towards it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from propensity.contract import CONSENT_PREFIX, REASONS
from propensity.playbook import Playbook

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

STATED_REASON_SHARE = 0.4
"""Share of leavers whose reason is on record. Field guide: 38 % answer an open exit question."""
POLITE_ANSWER_SHARE = 0.08
"""Share of the stated reasons that say "price" whatever the truth was (assumption)."""
EXTRACT_AGE = timedelta(hours=6)
"""How old the customers table is when decisions are made."""
MAX_AGE_DAYS = 700
"""The longest time since churn that is simulated, so that some people are past every horizon."""

# Why people leave, by kind of account (assumption), in the order of REASONS.
REASON_SHARES: dict[str, tuple[float, ...]] = {
    "consumer": (0.23, 0.08, 0.12, 0.03, 0.14, 0.10, 0.10, 0.20),
    "business": (0.18, 0.15, 0.14, 0.16, 0.06, 0.13, 0.10, 0.08),
}
BUSINESS_SHARE = 0.25
# Yearly price of each tier in currency (assumption); nobody on the free tier paid, and they would return to basic.
TIERS = ("free", "basic", "standard", "premium", "enterprise")
TIER_PRICE = (90.0, 110.0, 240.0, 520.0, 3200.0)
TIER_SHARES: dict[str, tuple[float, ...]] = {
    "consumer": (0.14, 0.36, 0.34, 0.16, 0.0),
    "business": (0.0, 0.10, 0.38, 0.34, 0.18),
}
HIGH_VALUE_CURRENCY = 1500.0
"""Accounts worth more than this a year have an owner."""
OWNERS = ("owner_1", "owner_2", "owner_3", "owner_4", "owner_5", "owner_6")
REGIONS = ("north", "south", "east", "west")
RIVALS = ("rival_a", "rival_b", "rival_c")
CONSENT_SHARES = {
    "email": 0.82,
    "sms": 0.32,
    "push": 0.38,
    "retargeting_ad": 0.55,
    "direct_mail": 0.50,
    "direct_outreach": 0.60,
}
"""Share who gave consent, by channel (assumption); other channels that need consent get `OTHER_CONSENT_SHARE`."""
OTHER_CONSENT_SHARE = 0.5


@dataclass(frozen=True)
class Traits:
    """What is true of each customer and in no table, besides the visible values that drive the response.

    Every field is an array of n values in the order of the customers table. ``reason`` holds positions in
    `contract.REASONS`; shares are between 0 and 1.
    """

    reason: Codes
    days_since_churn: Floats
    yearly_spend_currency: Floats
    responsiveness: Floats
    loyalty: Floats
    engagement: Floats
    mobile_share: Floats
    discount_share: Floats
    releases: Floats
    has_owner: Flags
    trial_canceller: Flags
    region: Codes


class _Account(NamedTuple):
    """What a company has on record; arrays of n values, codes are positions in `TIERS`."""

    business: Flags
    tier: Codes
    tenure_months: Floats
    paid_currency: Floats
    days_since_churn: Floats
    logins: Floats


def draw_customers(
    n_customers: int,
    playbook: Playbook,
    decided_at: datetime,
    rng: np.random.Generator,
    days_since_churn: tuple[float, float] | None = None,
) -> tuple[pd.DataFrame, Traits]:
    """Draw customers and what is hidden about them.

    Parameters
    ----------
    n_customers : int
    playbook : Playbook
        Names the channels that need consent.
    decided_at : datetime
        When decisions will be made, aware; the table is `EXTRACT_AGE` older.
    rng : numpy.random.Generator
    days_since_churn : (float, float), optional
        From when to when they left, uniformly; default: up to `MAX_AGE_DAYS`, more of them lately.

    Returns
    -------
    customers : DataFrame (n_customers, columns of the contract and features)
    traits : Traits
    """
    account, traits = _draw_people(n_customers, rng, days_since_churn)
    as_of = pd.Timestamp(decided_at).tz_convert("UTC") - EXTRACT_AGE
    customers = _table(account, traits, as_of.as_unit("us"), rng)
    for channel in playbook.consent_channels:
        share = CONSENT_SHARES.get(channel, OTHER_CONSENT_SHARE)
        customers[CONSENT_PREFIX + channel] = pd.array(rng.random(n_customers) < share, dtype="boolean")
    return customers, traits


def _draw_people(
    n: int, rng: np.random.Generator, days_since_churn: tuple[float, float] | None
) -> tuple[_Account, Traits]:
    """What the company has on record of n people, and what it has not."""
    business = rng.random(n) < BUSINESS_SHARE
    reason = _draw_by_segment(REASON_SHARES, business, rng)
    tier = _draw_by_segment(TIER_SHARES, business, rng)
    left_for = _by_reason(reason)

    trial_canceller = (rng.random(n) < 0.14) & (tier > 0)
    tenure_months = np.where(trial_canceller, rng.uniform(0.2, 1.0, n), 1 + rng.gamma(1.4, 13.0, n))
    spend = np.asarray(TIER_PRICE)[tier] * rng.lognormal(-0.08, 0.4, n)
    paid = np.where(trial_canceller | (tier == 0), 0.0, spend * np.minimum(tenure_months / 12, 1.0))
    if days_since_churn is None:
        days = 5 + (MAX_AGE_DAYS - 5) * rng.beta(1.1, 1.6, n)
    else:
        days = rng.uniform(*days_since_churn, n)
    activity = _activity(left_for)
    loyalty = rng.lognormal(-0.245, 0.7, n)
    logins = rng.poisson(60 * activity * np.minimum(tenure_months / 12, 1) * rng.gamma(1.6, 1 / 1.6, n) * loyalty**0.5)
    discount_share = rng.beta(np.where(left_for["price"], 3.0, 1.2), 3.0)
    mobile_share = rng.beta(np.where(business, 1.2, 2.4), 2.0)
    releases = rng.poisson(days / 100)
    traits = Traits(
        reason=reason,
        days_since_churn=days + EXTRACT_AGE / timedelta(days=1),
        yearly_spend_currency=spend,
        responsiveness=rng.lognormal(-0.06125, 0.35, n),
        loyalty=loyalty,
        engagement=np.log1p(logins),
        mobile_share=mobile_share,
        discount_share=discount_share,
        releases=releases.astype("float64"),
        has_owner=spend > HIGH_VALUE_CURRENCY,
        trial_canceller=trial_canceller,
        region=rng.integers(len(REGIONS), size=n),
    )
    return _Account(business, tier, tenure_months, paid, days, logins.astype("float64")), traits


def grown_older(
    customers: pd.DataFrame, traits: Traits, at: datetime, rng: np.random.Generator
) -> tuple[pd.DataFrame, Traits]:
    """The same people at a later time: a snapshot of then, with what changed since.

    Parameters
    ----------
    customers : DataFrame (n, ...)
        From `draw_customers`.
    traits : Traits
    at : datetime
        When decisions will be made then; the snapshot is `EXTRACT_AGE` older.
    rng : numpy.random.Generator
        Draws the releases since, and which accounts were closed.
    """
    as_of = (pd.Timestamp(at).tz_convert("UTC") - EXTRACT_AGE).as_unit("us")
    days = (as_of - customers["churned_at"]).dt.total_seconds().to_numpy() / 86_400
    more = days + EXTRACT_AGE / timedelta(days=1) - traits.days_since_churn
    releases = traits.releases + rng.poisson(more / 100)
    still_open = rng.random(len(days)) < np.exp(-more / 400)
    older = customers.assign(
        as_of=time_column(np.full(len(days), as_of.asm8)),
        days_since_churn=days.round(1),
        releases_since_churn=releases,
        account_access=customers["account_access"].mask(~still_open & customers["account_access"].notna(), False),
    )
    age = days + EXTRACT_AGE / timedelta(days=1)
    return older, replace(traits, days_since_churn=age, releases=releases.astype("float64"))


def _table(account: _Account, traits: Traits, as_of: pd.Timestamp, rng: np.random.Generator) -> pd.DataFrame:
    """The customers table, without consents."""
    business, days, n = account.business, account.days_since_churn, len(account.business)
    left_for = _by_reason(traits.reason)
    stated = np.where(rng.random(n) < POLITE_ANSWER_SHARE, REASONS.index("price"), traits.reason)
    to_rival = rng.random(n) < np.where(left_for["competitive_switch"], 0.7, 0.08)
    breadth = np.select([left_for[r] for r in ("fit_problem", "disengaged", "product_gap")], [0.25, 0.32, 0.6], 0.5)
    return pd.DataFrame(
        {
            "customer_id": text_column([f"c{row:07d}" for row in range(1, n + 1)]),
            "as_of": time_column(np.full(n, as_of.asm8)),
            "churned_at": time_column(as_of.asm8 - (days * 86_400e6).astype("timedelta64[us]")),
            "reason": text_column(np.asarray(REASONS, dtype=object)[stated], known=rng.random(n) < STATED_REASON_SHARE),
            "relationship": text_column(_relationship(left_for["service_problem"], rng), known=rng.random(n) < 0.85),
            "competitor": text_column(
                np.asarray(RIVALS, dtype=object)[rng.integers(len(RIVALS), size=n)], known=to_rival
            ),
            "annual_value": np.where(rng.random(n) < 0.03, np.nan, account.paid_currency.round(2)),
            "account_access": _account_access(days, rng),
            "owner": text_column(
                np.asarray(OWNERS, dtype=object)[rng.integers(len(OWNERS), size=n)], known=traits.has_owner
            ),
            "segment": text_column(np.where(business, "business", "consumer")),
            "plan_tier": text_column(np.asarray(TIERS, dtype=object)[account.tier]),
            "region": text_column(np.asarray(REGIONS, dtype=object)[traits.region]),
            "days_since_churn": days.round(1),
            "tenure_months": account.tenure_months.round(1),
            "orders_last_year": rng.poisson(0.4 + 3.5 * _activity(left_for) * traits.loyalty**0.5).astype("float64"),
            "logins_last_year": account.logins,
            "support_tickets_last_year": _support_tickets(left_for, rng),
            "features_used_share": rng.beta(6 * breadth, 6 * (1 - breadth)).round(3),
            "discount_share": traits.discount_share.round(3),
            "mobile_share": traits.mobile_share.round(3),
            "last_price_rise_share": rng.gamma(2.0, np.where(left_for["price"], 0.07, 0.03)).round(3),
            "seats_change_share": _seats_change(business, left_for["internal_change"], rng),
            "releases_since_churn": traits.releases,
            "trial_canceller": traits.trial_canceller.astype("float64"),
            "exported_data": (rng.random(n) < np.where(left_for["competitive_switch"], 0.5, 0.06)).astype("float64"),
        }
    )


def _by_reason(reason: Codes) -> dict[str, Flags]:
    """Who (n,) left for each reason."""
    return {name: reason == position for position, name in enumerate(REASONS)}


def _activity(left_for: dict[str, Flags]) -> Floats:
    """How much people still did before they left, against others: some drifted away."""
    return np.where(left_for["disengaged"], 0.35, np.where(left_for["no_longer_needed"], 0.6, 1.0))


def _draw_by_segment(shares: dict[str, tuple[float, ...]], business: Flags, rng: np.random.Generator) -> Codes:
    """One position a customer, drawn with the shares of the kind of account."""
    steps = np.cumsum([shares["consumer"], shares["business"]], axis=1)[business.astype(int)]
    # The last step is left out: rounding may put it a hair below 1, and then a draw could pass it.
    return (rng.random(len(business))[:, None] >= steps[:, :-1]).sum(axis=1)


def _relationship(failed: Flags, rng: np.random.Generator) -> npt.NDArray[np.object_]:
    draw = rng.random(len(failed))
    failure = draw < np.where(failed, 0.8, 0.04)
    return np.where(failure, "after_service_failure", np.where(draw < 0.92, "amicable", "neutral")).astype(object)


def _account_access(days: Floats, rng: np.random.Generator) -> pd.Series:
    """Accounts are closed as time goes by; of a few nobody knows."""
    access = pd.Series(pd.array(rng.random(len(days)) < 0.75 * np.exp(-days / 400), dtype="boolean"))
    return access.mask(rng.random(len(days)) < 0.01)


def _support_tickets(left_for: dict[str, Flags], rng: np.random.Generator) -> Floats:
    mean = np.select([left_for[r] for r in ("service_problem", "product_gap", "fit_problem")], [3.0, 1.7, 1.4], 0.6)
    return rng.poisson(mean).astype("float64")


def _seats_change(business: Flags, changed: Flags, rng: np.random.Generator) -> Floats:
    """Change of seats in the last year as a share; missing for consumers, who have none."""
    change = rng.normal(np.where(changed, -0.35, -0.03), 0.2).clip(-1, 1)
    return np.where(business, change.round(2), np.nan)


def text_column(values: object, known: Flags | None = None) -> pd.Series:
    """Values as the contract's text; missing where not ``known``."""
    text = pd.Series(values, dtype="object")
    if known is not None:
        text = text.where(known, None)
    return text.astype("str")


def time_column(values: npt.NDArray[np.datetime64]) -> pd.Series:
    """Times in UTC as the contract's kind."""
    return pd.Series(values.astype("datetime64[us]")).dt.tz_localize("UTC")
