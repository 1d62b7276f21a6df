"""What goes to the service and what comes back, as frozen records. Keys of answers that a record lacks are left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, NoReturn

from propensity.errors import InputError

DECIDED, REJECTED, UNANSWERED = "decided", "rejected", "unanswered"
ACCEPTED, DUPLICATE = "accepted", "duplicate"
TYPE_PREFIX = "propensity.outcome."
_TIMES = frozenset(
    {"not_before", "expires_at", "feature_as_of", "next_not_before", "contact_at", "serving_since", "as_of"}
)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one customer gets.

    A decision is neither true nor false: ``if client.decide(...)`` would contact everybody, so it raises; ask for
    ``send``. Amounts are in the playbook's currency, times are UTC.

    Attributes
    ----------
    status : str
        ``decided``; ``rejected``: the customer's row has a fault, which ``error`` tells; ``unanswered``: nobody
        answered (only with ``or_nothing``), and ``error`` tells why. Unless it is ``decided``, ``send`` is False.
    customer_id : str or None
        As the service reads it; None where it could not be read.
    send : bool
        Whether to contact this person.
    action : str
        Label of the action; ``control`` is no contact.
    decision_id : str or None
        The same for the same customer, campaign and decision window; None where nothing was recorded.
    assignment : str or None
        ``policy``, ``explore``, ``holdout``, ``suppressed`` or ``fallback``.
    probability : float or None
        Chance of this action under the rule that drew it.
    not_before, contact_at, expires_at : datetime or None
        When the message may go out at the earliest, when it best does, and until when the decision holds.

    Notes
    -----
    ``openapi.json`` of the service says what every other key means; they have the same names here.
    """

    status: str
    customer_id: str | None
    send: bool = False
    action: str = "control"
    decision_id: str | None = None
    campaign: str | None = None
    archetype: str | None = None
    channel: str | None = None
    offer: str | None = None
    assignment: str | None = None
    probability: float | None = None
    reason_codes: tuple[str, ...] = ()
    reactivation_propensity: float | None = None
    uplift: float | None = None
    uplift_low: float | None = None
    uplift_high: float | None = None
    expected_revenue: float | None = None
    cost: float | None = None
    net_value: float | None = None
    reason_for_churn: str | None = None
    archetype_probability: float | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    brief: str | None = None
    model_version: str | None = None
    playbook_version: str | None = None
    feature_as_of: datetime | None = None
    would_have_sent: str | None = None
    reason_source: str | None = None
    archetype_by: str | None = None
    alternative: str | None = None
    alternative_net_value: float | None = None
    alternative_lost: str | None = None
    touch: int | None = None
    next_action: str | None = None
    next_not_before: datetime | None = None
    contact_at: datetime | None = None
    explanation: str | None = None
    error: str | None = None

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision is neither true nor false; ask for its .send")

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Decision:
        """The decision in an answer; whatever is not plainly to be sent is not sent."""
        known = _known(cls, answer)
        send = answer.get("status") == DECIDED and answer.get("send") is True
        return cls(**{**known, "send": send, "reason_codes": tuple(answer.get("reason_codes") or ())})


@dataclass(frozen=True)
class Outcome:
    """Something that happened to a customer, to be reported.

    Attributes
    ----------
    type : str
        ``sent``, ``delivered``, ``opened``, ``clicked``, ``bounced``, ``unsubscribed``, ``complained``,
        ``reactivated``, ``purchased``, ``churned``, ``cart_abandoned`` or ``excluded``.
    customer_id : str
    id : str
        Of the event within its source: a second report under the same one changes nothing. Never make a new one for
        another try.
    source : str
        The system that saw it.
    at : datetime or None
        When it happened, with its time zone; None: when the report arrives.
    decision_id : str or None
        The decision that it answers, if known.
    amount : float or None
        Money that came in; negative: refund.
    currency : str or None
        Must be the playbook's; None: is.
    """

    type: str
    customer_id: str
    id: str
    source: str
    at: datetime | None = None
    decision_id: str | None = None
    amount: float | None = None
    currency: str | None = None

    def cloudevent(self) -> dict[str, Any]:
        """The outcome as a CloudEvent 1.0.

        Raises
        ------
        InputError
            ``at`` has no time zone.
        """
        data = {"decision_id": self.decision_id, "amount": self.amount, "currency": self.currency}
        event = {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type if "." in self.type else TYPE_PREFIX + self.type,
            "subject": self.customer_id,
            "time": moment("at", self.at),
            "data": {name: value for name, value in data.items() if value is not None},
        }
        return {name: value for name, value in event.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Item:
    """What became of one item of a report: ``accepted``, ``duplicate`` or ``rejected``, and then ``error`` tells why.

    ``source`` and ``id`` name an event, ``customer_id`` a suppression, and that with ``as_of`` a snapshot.
    """

    status: str
    source: str | None = None
    id: str | None = None
    customer_id: str | None = None
    as_of: datetime | None = None
    error: str | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Item:
        """The item in an answer."""
        return cls(**_known(cls, answer))


@dataclass(frozen=True)
class Receipt:
    """What became of each item of a report.

    Attributes
    ----------
    accepted, duplicate, rejected : int
        How many; a duplicate was there already, and changed nothing.
    results : tuple of Item
        In the order given.
    """

    accepted: int
    duplicate: int
    rejected: int
    results: tuple[Item, ...]

    @classmethod
    def of(cls, items: Iterable[Item]) -> Receipt:
        """The receipt for the items of one or several calls."""
        results = tuple(items)
        accepted, duplicate, rejected = (
            sum(item.status == status for item in results) for status in (ACCEPTED, DUPLICATE, REJECTED)
        )
        return cls(accepted, duplicate, rejected, results)


@dataclass(frozen=True, kw_only=True)
class Holdout:
    """Whether a person is held out: from every campaign, from this one, or ``held_out`` from either."""

    customer_id: str
    campaign: str
    held_out: bool
    global_holdout: bool
    campaign_holdout: bool

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Holdout:
        """The holdout in an answer."""
        return cls(**_known(cls, answer))


@dataclass(frozen=True, kw_only=True)
class Held:
    """Everything that is held on a person; rows are as the service tells them."""

    customer_id: str
    snapshots: tuple[dict[str, Any], ...]
    decisions: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Held:
        """What an answer says is held."""
        rows = {name: tuple(answer[name]) for name in ("snapshots", "decisions", "events")}
        return cls(customer_id=answer["customer_id"], **rows)


@dataclass(frozen=True, kw_only=True)
class Serving:
    """The model and the playbook that decide."""

    model_version: str
    mode: str
    playbook: str
    playbook_version: str
    serving_since: datetime | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Serving:
        """What an answer says serves."""
        return cls(**_known(cls, answer))


def moment(name: str, value: datetime | str | None) -> str | None:
    """A time as it is sent.

    Raises
    ------
    InputError
        It has no time zone.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InputError(f"{name}: expected a time with a time zone, such as datetime.now(UTC), found one without")
        return value.isoformat()
    return value


def _known(record: type, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a record has room for; a newer service may say more."""
    names = {field.name for field in fields(record)}
    return {
        name: datetime.fromisoformat(value) if name in _TIMES and isinstance(value, str) else value
        for name, value in answer.items()
        if name in names
    }
