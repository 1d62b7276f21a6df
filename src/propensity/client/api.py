"""The client: a method for each thing that the service does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from types import TracebackType
from typing import Any, TypeVar, overload
from urllib.parse import quote

import httpx

from propensity.client.calling import Caller, ServiceError, not_understood
from propensity.client.records import (
    ACCEPTED,
    DUPLICATE,
    REJECTED,
    UNANSWERED,
    Decision,
    Held,
    Holdout,
    Item,
    Outcome,
    Receipt,
    Serving,
    moment,
)
from propensity.errors import InputError

KEY_VARIABLE = "PROPENSITY_API_KEY"
MAX_ITEMS = 1_000
"""Customers or events in one call; more are sent in several."""
EVENTS = "application/cloudevents-batch+json"

Record = TypeVar("Record")
Customer = Mapping[str, object]
"""A row of the customers table: texts, numbers, flags, dates and times; a missing value is None or NaN."""


class Client:
    """Asks the service, over connections that it keeps. Threads may share it; use it with ``with``, or close it.

    Parameters
    ----------
    url : str
        Where the service is, such as ``https://propensity.example.com``.
    key : str, optional
        Without it, what the environment variable ``PROPENSITY_API_KEY`` holds, and without that none.
    timeout : float
        Seconds that connecting, sending and waiting for the answer may each take; calls about many people get
        8 milliseconds more for each, as the service needs some too.
    retries : int
        How often a request without an answer is repeated, after pauses that grow and vary. All that a client asks for
        may be repeated: it changes something once only.
    transport : httpx.BaseTransport, optional
        In place of the network.

    Raises
    ------
    InputError
        The address or the key cannot be one. Methods raise it for what cannot be sent.
    ServiceError
        Methods raise it where the service refused, failed or did not answer. What was sent before in the same call
        stands, and may be sent again.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout: float = 2.0,
        retries: int = 2,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        key = os.environ.get(KEY_VARIABLE) or None if key is None else key
        self._caller = Caller(url, key, timeout, retries, transport)

    def __repr__(self) -> str:
        return f"Client({self._caller.url!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()

    @overload
    def decide(
        self,
        customers: Customer,
        *,
        campaign: str,
        at: datetime | str | None = None,
        dry_run: bool = False,
        explain: bool = False,
        or_nothing: bool = False,
    ) -> Decision: ...

    @overload
    def decide(
        self,
        customers: Iterable[Customer],
        *,
        campaign: str,
        at: datetime | str | None = None,
        dry_run: bool = False,
        explain: bool = False,
        or_nothing: bool = False,
    ) -> list[Decision]: ...

    def decide(
        self,
        customers: Customer | Iterable[Customer],
        *,
        campaign: str,
        at: datetime | str | None = None,
        dry_run: bool = False,
        explain: bool = False,
        or_nothing: bool = False,
    ) -> Decision | list[Decision]:
        """Who gets what; the decisions are recorded.

        Parameters
        ----------
        customers : mapping, or iterable of mappings
            One customer or many, any number of them.
        campaign : str
        at : datetime or str, optional
            When it is decided, with a time zone; default: now.
        dry_run : bool
            Decide without recording.
        explain : bool
            Tell each decision in words too (``explanation``).
        or_nothing : bool
            Where nobody answers, after the retries, give decisions to send nothing (``status`` is ``unanswered``) in
            place of an error. A refusal, such as of a wrong key, is an error all the same: it would not pass by itself.

        Returns
        -------
        Decision or list of Decision
            One for one; for many one each, in their order. Among many, a customer whose row has a fault gets a
            decision with ``status`` ``rejected``, which sends nothing.

        Raises
        ------
        ServiceError
            Also where the one customer asked about was rejected (422).
        InputError
        """
        alone = isinstance(customers, Mapping)
        rows = [customers] if isinstance(customers, Mapping) else customers
        settings = {"campaign": campaign, "at": moment("at", at), "dry_run": dry_run, "explain": explain}
        decisions: list[Decision] = []
        for part in _parts(_row(row) for row in rows):
            answer = self._or_nothing(or_nothing, partial(self._decided, part, settings))
            decisions += answer if isinstance(answer, list) else [_nothing(row, campaign, answer) for row in part]
        if not alone:
            return decisions
        (decision,) = decisions
        if decision.status == REJECTED:
            raise ServiceError(422, "Customer rejected", decision.error or "the service does not say why")
        return decision

    def decision(
        self,
        customer_id: str,
        *,
        campaign: str,
        at: datetime | str | None = None,
        dry_run: bool = False,
        explain: bool = False,
        or_nothing: bool = False,
    ) -> Decision:
        """What a customer gets whose snapshot the service has (see `put_customers`); parameters are those of `decide`.

        Raises
        ------
        ServiceError
            Also where there is no snapshot (404), or where it cannot be decided on (422).
        InputError
        """
        params = {"campaign": campaign, "dry_run": str(dry_run).lower(), "explain": str(explain).lower()}
        when = moment("at", at)
        if when is not None:
            params["at"] = when
        path = f"/v1/decisions/{_in_path(customer_id)}"
        answer = self._or_nothing(
            or_nothing, lambda: _understood(Decision.of, self._caller.ask("GET", path, params=params))
        )
        return _nothing({"customer_id": customer_id}, campaign, answer) if isinstance(answer, str) else answer

    def report(self, outcomes: Iterable[Outcome]) -> Receipt:
        """Report what happened; in doubt again, with the same ids.

        Returns
        -------
        Receipt
            Read its ``rejected``: what is wrong with an event never fails the others, nor the call.
        """
        return self._receipt("POST", "/v1/outcomes", (outcome.cloudevent() for outcome in outcomes), EVENTS)

    def suppress(
        self, customer_ids: str | Iterable[str], *, reason: str = "unsubscribed", at: datetime | str | None = None
    ) -> Receipt:
        """Never contact these people again, from the next decision on.

        Parameters
        ----------
        customer_ids : str or iterable of str
        reason : str
            ``unsubscribed``, ``requested``, ``complained``, or ``excluded`` for reasons of the company's own.
        at : datetime or str, optional
            When they opted out; default: now.

        Raises
        ------
        ServiceError
            Also where anybody could not be suppressed (422), after all others were: that must not go unnoticed.
        InputError
        """
        ids = [customer_ids] if isinstance(customer_ids, str) else customer_ids
        settings = {"reason": reason, "at": moment("at", at)}
        items: list[Item] = []
        for part in _parts({"customer_id": key, **settings} for key in ids):
            try:
                items += self._items("POST", "/v1/suppressions", part)
            except ServiceError as error:
                if error.status != 422:
                    raise
                items += [Item(status=REJECTED, error=error.detail)] * len(part)
        # whatever is not plainly there is not
        lost = [item for item in items if item.status not in (ACCEPTED, DUPLICATE)]
        if lost:
            first = lost[0].error or f"the service says {lost[0].status!r} of it"
            detail = f"{len(lost):,} of {len(items):,} people were not suppressed; the first: {first}"
            raise ServiceError(422, "Not all suppressed", detail)
        return Receipt.of(items)

    def put_customers(self, customers: Customer | Iterable[Customer]) -> Receipt:
        """Give the service snapshots of customers, for `decision` and for learning.

        Returns
        -------
        Receipt
            Read its ``rejected``: a faulty row never fails the others, nor the call.
        """
        rows = [customers] if isinstance(customers, Mapping) else customers
        return self._receipt("PUT", "/v1/customers", (_row(row) for row in rows))

    def holdout(self, customer_id: str, *, campaign: str) -> Holdout:
        """Whether a person is held out; it never changes. Only a decision tells who may be contacted otherwise."""
        path = f"/v1/holdouts/{_in_path(customer_id)}"
        return _understood(Holdout.of, self._caller.ask("GET", path, params={"campaign": campaign}))

    def customer(self, customer_id: str) -> Held:
        """Everything that is held on a person. Needs a key with the scope ``admin``.

        Raises
        ------
        ServiceError
            Also where nothing is held (404).
        InputError
        """
        return _understood(Held.of, self._caller.ask("GET", f"/v1/customers/{_in_path(customer_id)}"))

    def erase(self, customer_id: str) -> None:
        """Forget a person, and never contact them again. Needs a key with the scope ``admin``."""
        self._caller.ask("DELETE", f"/v1/customers/{_in_path(customer_id)}")

    def models(self) -> Serving:
        """What decides, since when. Needs a key with the scope ``read``."""
        return _understood(Serving.of, self._caller.ask("GET", "/v1/models"))

    def _decided(self, rows: Sequence[dict[str, object]], settings: Mapping[str, object]) -> list[Decision]:
        content = {**{k: v for k, v in settings.items() if v}, "customers": rows}
        answer = self._caller.ask("POST", "/v1/decisions", content=content, n_items=len(rows))
        return _one_each(lambda found: [Decision.of(item) for item in found["decisions"]], answer, rows)

    def _or_nothing(self, wanted: bool, ask: Callable[[], Record]) -> Record | str:
        """What was asked for; or, where that is wanted and nobody answered, why not."""
        try:
            return ask()
        except ServiceError as error:
            if not wanted or not error.is_unanswered:
                raise
            return str(error)

    def _receipt(
        self, method: str, path: str, items: Iterable[Mapping[str, object]], media_type: str = "application/json"
    ) -> Receipt:
        return Receipt.of(item for part in _parts(items) for item in self._items(method, path, part, media_type))

    def _items(
        self, method: str, path: str, items: Sequence[Mapping[str, object]], media_type: str = "application/json"
    ) -> list[Item]:
        answer = self._caller.ask(method, path, content=items, media_type=media_type, n_items=len(items))
        return _one_each(lambda found: [Item.of(result) for result in found["results"]], answer, items)


def _understood(read: Callable[[Any], Record], answer: object) -> Record:
    """A record made of an answer.

    Raises
    ------
    ServiceError
        It has another form.
    """
    try:
        return read(answer)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise not_understood() from error


def _one_each(read: Callable[[Any], list[Record]], answer: object, asked: Sequence[object]) -> list[Record]:
    """Records made of an answer, one for each that was asked about; errors as for `_understood`."""
    records = _understood(read, answer)
    if len(records) != len(asked):
        raise not_understood()
    return records


def _nothing(row: Mapping[str, object], campaign: str, why: str) -> Decision:
    """What a customer gets when nobody answers."""
    key = row.get("customer_id")
    return Decision(
        status=UNANSWERED, customer_id=None if key is None else str(key), campaign=campaign, send=False, error=why
    )


def _row(row: Customer) -> dict[str, object]:
    """A customer as it is sent.

    Raises
    ------
    InputError
        It is no mapping.
    """
    if not isinstance(row, Mapping):
        raise InputError(f"customers: expected a mapping for each, such as a dict, found {type(row).__name__}")
    return {name: _value(value) for name, value in row.items()}


def _value(value: object) -> object:
    if value is None or isinstance(value, (str, bool, int)):
        return value
    # NaN and NaT are equal to nothing; whether pandas' NA is, not even Python may ask
    if str(value) == "<NA>" or value != value:
        return None
    if isinstance(value, date):
        return value.isoformat()
    # scalars of numpy, which need not be there
    return value.item() if hasattr(value, "item") else value


def _parts(items: Iterable[Record]) -> Iterator[list[Record]]:
    """Lists of at most `MAX_ITEMS`."""
    part: list[Record] = []
    for item in items:
        part.append(item)
        if len(part) == MAX_ITEMS:
            yield part
            part = []
    if part:
        yield part


def _in_path(customer_id: str) -> str:
    """An id as part of a path.

    Raises
    ------
    InputError
        It is blank, so that the path would be another one, or no text that can be sent.
    """
    if not customer_id.strip():
        raise InputError("customer_id: expected a text, found a blank")
    try:
        quoted = quote(customer_id, safe="")
    except UnicodeEncodeError as error:
        raise InputError("customer_id: expected a text, found one with half a character") from error
    # an id of dots alone would be a way through the path
    return quoted if quoted.strip(".") else quoted.replace(".", "%2E")
