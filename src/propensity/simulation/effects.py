"""What each action would do to each simulated customer: the truth that a learner tries to find.

Every figure marked "field guide" is a practitioner figure of the field; the rest are assumptions chosen so that the
whole program lands on the field guide's base rates: a generic blast wins 1-3 % back, a well segmented one 8-12 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from propensity.contract import CONTROL, REASONS
from propensity.playbook import FACTORS, Playbook
from propensity.playbook.parts import Action
from propensity.simulation.customers import Codes, Floats, Traits

EMAIL_INTENSITY = 0.056
"""Response intensity of the right e-mail without an offer, at the peak, for an average person."""

CHANNEL_FACTOR = {
    "email": 1.0,
    "in_app": 4.8,  # field guide: 3-5 times the conversions of e-mail; some of either would have come anyway
    "sms": 1.3,
    "push": 0.8,
    "retargeting_ad": 0.4,
    "direct_mail": 0.9,
    "direct_outreach": 3.0,
}
DELIVERED_SHARE = {
    "email": 0.96,
    "in_app": 0.92,
    "sms": 0.97,
    "push": 0.70,
    "retargeting_ad": 0.85,
    "direct_mail": 0.94,
    "direct_outreach": 0.90,
}
UNSUBSCRIBE_SHARE = {
    "email": 0.003,
    "in_app": 0.001,
    "sms": 0.008,
    "push": 0.006,
    "retargeting_ad": 0.001,
    "direct_mail": 0.001,
    "direct_outreach": 0.003,
}
SPONTANEOUS_UNSUBSCRIBE_SHARE = 0.002
"""Share who take back their consent within the attribution window though nobody wrote to them."""

SERVICE_PERSON_INTENSITY = 0.78
"""Field guide: a person who calls after support friction converts 35-45 %, an automated e-mail 2-4 %."""

# How well each archetype answers each reason: 1 is right. Field guide: the wrong one does worse by up to an order of
# magnitude; `some price` leavers answer to we_miss_you.
AFFINITY = {
    "price": {
        "wrong_fit_now_right": 1.0,
        "we_miss_you": 0.45,
        "circumstances_changed": 0.25,
        "we_got_better": 0.1,
    },
    "product_gap": {
        "we_got_better": 1.0,
        "wrong_fit_now_right": 0.25,
        "circumstances_changed": 0.1,
        "we_miss_you": 0.1,
    },
    "competitive_switch": {
        "we_got_better": 1.0,
        "wrong_fit_now_right": 0.2,
        "circumstances_changed": 0.1,
        "we_miss_you": 0.12,
    },
    "internal_change": {
        "circumstances_changed": 1.0,
        "we_miss_you": 0.2,
        "wrong_fit_now_right": 0.15,
        "we_got_better": 0.1,
    },
    "no_longer_needed": {
        "circumstances_changed": 1.0,
        "we_miss_you": 0.2,
        "wrong_fit_now_right": 0.2,
        "we_got_better": 0.1,
    },
    "service_problem": {
        "we_got_better": 1.0,
        "circumstances_changed": 0.15,
        "we_miss_you": 0.1,
        "wrong_fit_now_right": 0.1,
    },
    "fit_problem": {
        "wrong_fit_now_right": 1.0,
        "we_got_better": 0.3,
        "circumstances_changed": 0.1,
        "we_miss_you": 0.1,
    },
    "disengaged": {
        "we_miss_you": 1.0,
        "we_got_better": 0.3,
        "circumstances_changed": 0.12,
        "wrong_fit_now_right": 0.2,
    },
}
UNANSWERED_AFFINITY = 0.12
"""For archetypes that the table above does not know and that do not answer the reason."""

# How open people are to any message, and how likely they come back by themselves, by reason.
RECOVERABLE = {
    "price": 1.1,
    "product_gap": 1.1,
    "competitive_switch": 0.75,
    "internal_change": 1.0,
    "no_longer_needed": 0.4,
    "service_problem": 0.45,
    "fit_problem": 1.0,
    "disengaged": 1.1,
}
RETURNING = {
    "price": 1.2,
    "product_gap": 0.8,
    "competitive_switch": 0.6,
    "internal_change": 1.1,
    "no_longer_needed": 0.6,
    "service_problem": 0.6,
    "fit_problem": 0.6,
    "disengaged": 1.6,
}
SPONTANEOUS_SHARE = 0.027
"""Chance that an average person who left recently comes back within the window by themselves."""

# What an offer adds, and for whom it adds something else.
OFFER_FACTOR = {
    "none": 1.0,
    "content_update": 1.1,
    "extended_trial": 1.2,
    "price_hold": 1.15,
    "downgrade": 1.2,
    "percent_off": 1.45,
    "points": 1.3,
    "onboarding_session": 1.15,
    "conversation": 1.1,
}
OFFER_FACTOR_BY_REASON = {
    ("price", "price_hold"): 1.5,
    ("price", "downgrade"): 1.65,
    ("price", "percent_off"): 1.2,
    ("price", "onboarding_session"): 0.8,
    ("product_gap", "content_update"): 1.3,
    ("product_gap", "extended_trial"): 1.6,
    ("product_gap", "percent_off"): 0.6,
    ("competitive_switch", "extended_trial"): 1.5,
    ("internal_change", "conversation"): 1.5,
    ("internal_change", "price_hold"): 1.25,
    ("no_longer_needed", "price_hold"): 1.0,
    ("service_problem", "conversation"): 1.2,
    ("service_problem", "percent_off"): 0.5,
    ("service_problem", "points"): 0.6,
    ("fit_problem", "downgrade"): 1.3,
    ("fit_problem", "extended_trial"): 1.45,
    ("fit_problem", "onboarding_session"): 1.7,
    ("disengaged", "points"): 1.5,
    ("disengaged", "percent_off"): 1.6,
}
INCENTIVES = ("percent_off", "points")
RESPONSE_CURVE = {0: 0.15, 30: 0.35, 45: 0.6, 60: 1.0, 180: 1.0, 365: 0.45, 548: 0.22, 730: 0.1}
"""Response by days since churn. Field guide: cooling off, the peak at 60-180 days, declining, low after a year."""

PURCHASE_SHARE = 0.8
"""Share of those who come back that pay something within the window."""
# What an offer does to that share and to the money that comes in from a buyer.
PURCHASE_FACTOR = {"extended_trial": 0.85, "conversation": 0.9, "onboarding_session": 1.1}
REVENUE_FACTOR = {
    "extended_trial": 0.67,  # the first of three months is free
    "price_hold": 0.95,
    "downgrade": 0.6,
    "percent_off": 0.9,  # field guide: 30 % off the first month, of three in the window
}


@dataclass(frozen=True)
class Response:
    """Chances and amounts of every customer under every action; control is column 0.

    ``spontaneous`` (n,) is the chance of coming back without contact. ``kept`` (n, actions) is the share of it that
    survives the contact; ``won`` (n, actions) is the chance that the contact wins back somebody who would not have
    come by themselves. ``delivered`` (actions,) is the chance that the contact arrives: who does not get it behaves
    as without contact. ``purchase`` and ``revenue_factor`` (actions,) are the share of the reactivated who pay and
    what becomes of the amount; ``spend_currency`` (n,) is the mean amount of a buyer inside the window.
    ``unsubscribe`` (n, actions) holds for contacts that arrive.
    """

    actions: tuple[str, ...]
    spontaneous: Floats
    kept: Floats
    won: Floats
    delivered: Floats
    purchase: Floats
    revenue_factor: Floats
    spend_currency: Floats
    unsubscribe: Floats

    def reactivation_if_delivered(self) -> Floats:
        """Chance of reactivation within the window where the contact arrives (n, actions)."""
        stays = self.kept * self.spontaneous[:, None]
        return stays + (1 - stays) * self.won

    def reactivation(self) -> Floats:
        """Chance of reactivation within the window (n, actions), arrived or not."""
        alone = self.spontaneous[:, None]
        return alone + self.delivered * (self.reactivation_if_delivered() - alone)

    def revenue_currency(self) -> Floats:
        """Mean money within the window (n, actions) in currency a person."""
        spend = self.spend_currency[:, None]
        alone = self.spontaneous[:, None] * spend * self.purchase[0] * self.revenue_factor[0]
        contacted = self.reactivation_if_delivered() * spend * self.purchase * self.revenue_factor
        return alone + self.delivered * (contacted - alone)

    def unsubscribe_probability(self) -> Floats:
        """Chance of an opt-out within the window (n, actions)."""
        alone = self.unsubscribe[:, :1]
        return alone + self.delivered * (self.unsubscribe - alone)


def response_curve(days_since_churn: Floats) -> Floats:
    """Relative response to a message by days since churn: 1 from day 60 to day 180, less before and after."""
    return np.interp(days_since_churn, list(RESPONSE_CURVE), list(RESPONSE_CURVE.values()))


def responses(
    playbook: Playbook, traits: Traits, effect_scale: float = 1.0, strength: Mapping[str, float] | None = None
) -> Response:
    """The true response of every customer to every action of a playbook.

    Parameters
    ----------
    playbook : Playbook
        Channels and offers that the tables of this file do not know count as an e-mail and as no offer; an unknown
        archetype is right for the reasons that it answers.
    traits : Traits
        Of n customers.
    effect_scale : float
        Multiplies every effect; 0 makes all actions equal to no contact.
    strength : mapping of str to float, optional
        Multiplies the intensity of what has an archetype, a channel or an offer, such as ``offer:percent_off``.

    Returns
    -------
    Response

    Notes
    -----
    With s_i the chance of coming back alone, the chance of reactivation under an arrived action a is

        p_i(a) = k_i(a) s_i + (1 - k_i(a) s_i) w_i(a),    w_i(a) = 1 - exp(-scale x_i(a)),

    where the intensity x_i(a) = base * channel * affinity(reason, archetype) * offer(reason) * curve(days) * taste_i
    and k_i(a) = 1 - scale * 0.4 * max(0, 1 - affinity / 0.3): the wrong message puts some off who would have come.
    """
    effects = [_column(playbook, label, traits) for label in playbook.labels]
    n = len(traits.reason)
    intensity = np.column_stack([np.zeros(n), *(intensity for intensity, _ in effects)])
    affinity = np.column_stack([np.ones(n), *(affinity for _, affinity in effects)])
    put_off = 0.4 * np.maximum(0, 1 - affinity / 0.3)
    kinds = [playbook.actions[label] for label in playbook.labels]
    intensity[:, 1:] *= [_strength(kind, strength or {}) for kind in kinds]
    delivered = [DELIVERED_SHARE.get(kind.channel, DELIVERED_SHARE["email"]) for kind in kinds]
    purchase = np.array([1.0, *(PURCHASE_FACTOR.get(kind.offer, 1.0) for kind in kinds)])
    revenue = np.array([1.0, *(REVENUE_FACTOR.get(kind.offer, 1.0) for kind in kinds)])
    annoyance = [UNSUBSCRIBE_SHARE.get(kind.channel, UNSUBSCRIBE_SHARE["email"]) for kind in kinds]
    tired = np.where(traits.days_since_churn > 365, 2.0, 1.0)[:, None]  # no interest for a long time: left alone
    leaves = np.array([0.0, *annoyance]) * (1 + 3 * (1 - affinity)) * tired
    return Response(
        actions=(CONTROL, *playbook.labels),
        spontaneous=_spontaneous(traits),
        kept=1 - np.minimum(effect_scale * put_off, 1),
        won=-np.expm1(-effect_scale * intensity),
        delivered=np.array([1.0, *delivered]),
        purchase=PURCHASE_SHARE * _scaled(purchase, effect_scale, most=1 / PURCHASE_SHARE),
        revenue_factor=_scaled(revenue, effect_scale, most=np.inf),
        spend_currency=traits.yearly_spend_currency * playbook.program.attribution_window_days / 365,
        unsubscribe=np.minimum(SPONTANEOUS_UNSUBSCRIBE_SHARE + effect_scale * leaves, 1),
    )


def _strength(action: Action, strength: Mapping[str, float]) -> float:
    named = ((part, getattr(action, part)) for part in FACTORS)
    return float(np.prod([strength.get(f"{part}:{name}", 1.0) for part, name in named]))


def _scaled(factor: Floats, effect_scale: float, most: float) -> Floats:
    return np.clip(1 + effect_scale * (factor - 1), 0.0, most)


def _spontaneous(traits: Traits) -> Floats:
    """Chance of coming back alone: loyal, engaged, recent leavers more than others."""
    fading = 0.3 + 0.7 * np.exp(-traits.days_since_churn / 150)
    engaged = 0.6 + 0.12 * traits.engagement
    share = SPONTANEOUS_SHARE * fading * engaged * traits.loyalty * _by_reason(RETURNING, traits.reason)
    return np.minimum(share * np.where(traits.trial_canceller, 0.6, 1.0), 0.25)


def _column(playbook: Playbook, label: str, traits: Traits) -> tuple[Floats, Floats]:
    """Intensity and affinity of one action for every customer, each (n,)."""
    action = playbook.actions[label]
    answers = playbook.archetypes[action.archetype].answers
    affinity_of = {
        reason: known.get(action.archetype, 1.0 if reason in answers else UNANSWERED_AFFINITY)
        for reason, known in AFFINITY.items()
    }
    offer_of = {
        reason: OFFER_FACTOR_BY_REASON.get((reason, action.offer), OFFER_FACTOR.get(action.offer, 1.0))
        for reason in REASONS
    }
    affinity = _by_reason(affinity_of, traits.reason)
    curve = response_curve(traits.days_since_churn)
    if action.offer in INCENTIVES:  # field guide: from 6 months on, a stronger incentive
        curve = np.where(traits.days_since_churn > 180, curve**0.8, curve)
    intensity = EMAIL_INTENSITY * _by_reason(RECOVERABLE, traits.reason) * affinity * curve
    intensity *= CHANNEL_FACTOR.get(action.channel, 1.0) * _by_reason(offer_of, traits.reason)
    if action.channel == "direct_outreach":
        failed = traits.reason == REASONS.index("service_problem")
        intensity = np.where(failed, SERVICE_PERSON_INTENSITY * affinity**1.5 * np.sqrt(curve), intensity)
    return intensity * _taste(action.archetype, action.channel, action.offer, traits), affinity


def _taste(archetype: str, channel: str, offer: str, traits: Traits) -> Floats:
    """What makes one person answer more than another who left for the same reason."""
    taste = traits.responsiveness * (0.7 + 0.09 * traits.engagement)
    taste = taste * np.where(traits.trial_canceller, 1.4 if offer == "extended_trial" else 0.7, 1.0)
    if channel in ("push", "sms"):
        taste = taste * (0.5 + traits.mobile_share)
    if channel == "email":
        taste = taste * (1.2 - 0.4 * traits.mobile_share)
    if channel == "direct_mail":
        taste = taste * np.array([1.3, 0.8, 1.0, 0.9])[traits.region]
    if channel == "direct_outreach":
        taste = taste * np.where(traits.has_owner, 1.3, 0.95)  # field guide: never a speaker whom they never met
    if archetype == "we_got_better":  # field guide: with a real release about twice as well as in a quiet quarter
        taste = taste * np.where(traits.releases > 0, 1.15, 0.55)
    if offer in INCENTIVES:
        taste = taste * (0.75 + 0.8 * traits.discount_share)
        # Who would have come back anyway takes the discount and is hardly moved by it.
        taste = taste * np.maximum(0.1, 1 - _spontaneous(traits) / 0.06)
    return taste


def _by_reason(table: dict[str, float], reason: Codes) -> Floats:
    return np.array([table[name] for name in REASONS], dtype=np.float64)[reason]
