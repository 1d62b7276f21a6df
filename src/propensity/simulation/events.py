"""What happened after the decisions: the outcomes table, drawn from the true response.

Each person has one set of random numbers for all actions, so that what they would have done under another action is
defined: the same draw is compared with the chance under each.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from propensity.playbook import Playbook
from propensity.simulation.customers import Codes, Flags, Floats, text_column, time_column
from propensity.simulation.effects import Response

# Field guide: e-mail that says we miss you opens 11 %, one that names the last action 28 %; SMS above 90 %. The rest
# are assumptions; a channel that reports no opening is left out.
OPENED_SHARE = {"email": 0.2, "in_app": 0.6, "sms": 0.92, "push": 0.15}
CLICKED_SHARE = {"email": 0.08, "in_app": 0.2, "sms": 0.06, "push": 0.15, "retargeting_ad": 0.01}
"""Of those who opened (of those who saw it, for an ad)."""
BOUNCING_CHANNELS = ("email", "sms", "push", "direct_mail")
"""Channels that report what did not arrive; on the others nothing is heard."""
RETURN_DAYS = {"direct_mail": 21.0, "retargeting_ad": 20.0, "direct_outreach": 8.0}
USUAL_RETURN_DAYS = 12.0
"""Mean days from an arrived contact to the return that it caused, before the window cuts the tail."""
LATE_SHARE = 0.25
"""Returns after the attribution window, for each one inside."""
LATE_DAYS = 45.0
AMOUNT_SPREAD = 0.6
"""Standard deviation of the logarithm of the amounts."""
DAY = 86_400e6  # microseconds


@dataclass(frozen=True)
class Draws:
    """One set of random numbers a person, the same under every action; each field is (n,), uniform but `amount`.

    ``amount`` is lognormal with mean 1.
    """

    arrives: Floats
    returns: Floats
    return_delay: Floats
    pays: Floats
    pay_delay: Floats
    amount: Floats
    leaves: Floats
    leave_delay: Floats
    opens: Floats
    clicks: Floats
    hours: Floats


def draw_numbers(n: int, rng: np.random.Generator) -> Draws:
    """The random numbers of n people."""
    uniform = {part.name: rng.random(n) for part in fields(Draws) if part.name != "amount"}
    return Draws(amount=np.exp(AMOUNT_SPREAD * rng.standard_normal(n) - AMOUNT_SPREAD**2 / 2), **uniform)


def outcomes_table(
    customers: pd.DataFrame,
    decision_ids: npt.NDArray[np.object_],
    served: Codes,
    response: Response,
    draws: Draws,
    playbook: Playbook,
    decided_at: datetime,
) -> pd.DataFrame:
    """The events of everybody, in the program or not.

    Parameters
    ----------
    customers : DataFrame (n, .)
    decision_ids : array (n,)
        None for people outside the program.
    served : array (n,)
        Position of the action among ``response.actions``; 0 (control) for people outside.
    response : Response
    draws : Draws
    playbook : Playbook
    decided_at : datetime

    Returns
    -------
    DataFrame
        Sorted by time. Events of a message carry the decision. A return and its purchase carry it only where the
        contact won the person back: the till does not know why somebody comes by themselves.
    """
    rows = np.arange(len(customers))
    window_days = playbook.program.attribution_window_days
    channel = np.array(["", *(playbook.actions[label].channel for label in playbook.labels)], dtype=object)[served]
    contacted = served != 0
    arrived = contacted & (draws.arrives < response.delivered[served])
    effective = np.where(arrived, served, 0)

    stays = response.kept[rows, effective] * response.spontaneous
    chance = response.reactivation_if_delivered()[rows, effective]
    inside = draws.returns < chance
    late = ~inside & (draws.returns < np.minimum(chance * (1 + LATE_SHARE), 1))
    won = inside & (draws.returns >= stays)
    returned = inside | late
    sent_days = draws.hours * 8 / 24
    arrived_days = sent_days + np.where(channel == "direct_mail", 4.0, 0.01)
    opened_days = arrived_days + 0.01 + draws.opens * 2
    # Somebody whom a message won back has seen it, so their opening and click come before the return.
    return_days = _return_days(draws, won, late, opened_days + 0.02, channel, window_days)
    pays = returned & (draws.pays < response.purchase[effective])
    pay_days = return_days + draws.pay_delay * np.where(late, 14, np.minimum(14, window_days - return_days))
    amount = (response.spend_currency * response.revenue_factor[effective] * draws.amount).round(2)
    leaves = draws.leaves < response.unsubscribe[rows, effective]
    first_day = np.where(arrived, opened_days, 0.0)
    leave_days = first_day + (window_days - first_day) * draws.leave_delay ** np.where(arrived, 4, 1)
    opened = arrived & _has(OPENED_SHARE, channel) & (won | (draws.opens < _of(OPENED_SHARE, channel)))
    seen = opened | (arrived & (channel == "retargeting_ad"))
    clicked = seen & _has(CLICKED_SHARE, channel) & (won | (draws.clicks < _of(CLICKED_SHARE, channel)))

    nothing = np.full(len(rows), np.nan)
    parts = [
        ("sent", contacted, sent_days, nothing, contacted),
        ("delivered", arrived, arrived_days, nothing, contacted),
        ("bounced", contacted & ~arrived & np.isin(channel, BOUNCING_CHANNELS), arrived_days, nothing, contacted),
        ("opened", opened, opened_days, nothing, contacted),
        ("clicked", clicked, opened_days + 0.01, nothing, contacted),
        ("unsubscribed", leaves, leave_days, nothing, arrived),
        ("reactivated", returned, return_days, nothing, won),
        ("purchased", pays, pay_days, amount, won),
    ]
    return _assemble(parts, customers, decision_ids, channel, decided_at)


def _return_days(
    draws: Draws, won: Flags, late: Flags, earliest: Floats, channel: npt.NDArray[np.object_], window_days: float
) -> Floats:
    """Days from decision to return: soon after a contact that won them, any time alone, a tail after the window."""
    mean = _of(RETURN_DAYS, channel, USUAL_RETURN_DAYS)
    room = np.maximum(window_days - earliest, 0)
    caused = earliest - mean * np.log1p(-draws.return_delay * -np.expm1(-room / mean))
    alone = window_days * draws.return_delay
    afterwards = window_days - LATE_DAYS * np.log1p(-draws.return_delay)
    return np.select([won, late], [np.minimum(caused, window_days), afterwards + 0.01], alone)


def _assemble(
    parts: list[tuple[str, Flags, Floats, Floats, Flags]],
    customers: pd.DataFrame,
    decision_ids: npt.NDArray[np.object_],
    channel: npt.NDArray[np.object_],
    decided_at: datetime,
) -> pd.DataFrame:
    """One table of the kinds of event, each with who it happened to, when, how much, and who is told the decision."""
    who = np.concatenate([np.flatnonzero(happened) for _, happened, *_ in parts])
    kind = np.repeat([name for name, *_ in parts], [happened.sum() for _, happened, *_ in parts])
    days = np.concatenate([when[happened] for _, happened, when, _, _ in parts])
    amount = np.concatenate([money[happened] for _, happened, _, money, _ in parts])
    known = np.concatenate([told[happened] for _, happened, _, _, told in parts])
    order = np.lexsort((who, days))
    who, kind, days, amount, known = who[order], kind[order], days[order], amount[order], known[order]
    start = pd.Timestamp(decided_at).tz_convert("UTC").as_unit("us")
    prefix = f"e{start:%Y%m%d}-"
    by_till = np.isin(kind, ["reactivated", "purchased"])
    source = np.where(by_till, "till", np.where(known, channel[who], "preference_centre"))
    return pd.DataFrame(
        {
            "event_id": text_column([f"{prefix}{row:08d}" for row in range(1, len(who) + 1)]),
            "source": text_column(source),
            "customer_id": text_column(customers["customer_id"].to_numpy()[who]),
            "decision_id": text_column(decision_ids[who], known=known),
            "at": time_column(start.asm8 + (days * DAY).astype("timedelta64[us]")),
            "type": text_column(kind),
            "amount": amount,
        }
    )


def _of(table: dict[str, float], channel: npt.NDArray[np.object_], otherwise: float = 0.0) -> Floats:
    return np.array([table.get(name, otherwise) for name in channel], dtype=np.float64)


def _has(table: dict[str, float], channel: npt.NDArray[np.object_]) -> Flags:
    return np.isin(channel, list(table))
