"""How a call for decisions is answered: a repeat from the ledger, calls at the same time together, late ones by rules.

Deciding for 30 people costs little more than for one, so that what gathers while a decision is made is decided next, in
one go and with one commit. A call that the model cannot answer within its time gets the playbook's rules. While the
ledger cannot be read or written nobody is contacted.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pandas as pd

from propensity.contract import CONTROL, one_flag
from propensity.decide_by_rules import decide_by_rules
from propensity.decide_online import decide_online
from propensity.decision import DECISION_COLUMNS
from propensity.known import consent_of, without_consent
from propensity.lanes import Lane
from propensity.ledger import LedgerUnavailable
from propensity.ledger.rows import clean
from propensity.model import DecisionModel
from propensity.pages.decision_words import EXPLANATION, explanation
from propensity.people import People
from propensity.playbook import Playbook
from propensity.policy import codes, decision_keys, window_end, window_number
from propensity_serving import metrics
from propensity_serving.problems import RETRY_AFTER_SECONDS
from propensity_serving.requests import CheckedCustomers, DecisionRequest, check_customers
from propensity_serving.state import ServingState
from propensity_serving.what_if import what_if

BUDGET_VARIABLE = "PROPENSITY_TIME_BUDGET"
"""Seconds in which the model must answer a call on one customer."""
DEFAULT_BUDGET_SECONDS = 1.0
SECONDS_A_CUSTOMER = 0.005
"""More for each customer."""
LEDGER_SECONDS = 8.0
"""For the whole of a call, less than the server's own limit: a ledger that hangs counts as one that is not there."""
MANY = 50
"""Customers from which on a call is decided beside the small ones, so that they do not wait for it."""
MOST_CALLS = 64

logger = logging.getLogger("propensity.serving")


@dataclass(frozen=True)
class Call:
    """A request for decisions on a worker's way: when it is decided, and on which rows."""

    at: pd.Timestamp | None
    campaign: str
    rows: Sequence[dict[str, Any]]

    def moment(self) -> pd.Timestamp:
        """When it is decided: as asked, or now."""
        return pd.Timestamp.now("UTC") if self.at is None else self.at


Answers = list[dict[str, Any]]
"""One for each row of a call, in its order: a decision with ``status`` "decided", or "rejected" with ``error``."""
DECIDED, REJECTED = "decided", "rejected"
Decide = Callable[..., Answers]
"""`decide_online`, or what takes its place."""


class Answering:
    """Answers calls for decisions with what a worker's state holds."""

    def __init__(self, state: ServingState) -> None:
        self._state = state
        self._repeated = Lane("repeats", self._repeats, MOST_CALLS)
        self._few = Lane("decisions", self._by_model, MOST_CALLS)
        self._many = Lane("many-decisions", self._by_model, 1)
        self._late = Lane("rules", self._by_rules, MOST_CALLS)
        self._budget = float(os.environ.get(BUDGET_VARIABLE) or DEFAULT_BUDGET_SECONDS)

    async def answer(self, asked: DecisionRequest) -> dict[str, Any]:
        """Decide for the customers of a request, and record the decisions unless it is a dry run.

        Returns
        -------
        dict
            ``model_version`` and ``decisions``, one an asked customer and in that order: a decision with ``status``
            "decided", or ``status`` "rejected" with ``error``. A dry run with scenarios also has ``what_if``.
        """
        model, _ = self._state.required()
        call = _call(asked)
        content: dict[str, Any] = {"model_version": model.version}
        if asked.dry_run:
            content |= await asyncio.to_thread(self._try, call, asked.scenarios)
        else:
            content["decisions"] = await self._recorded(call)
        return self._told(asked, content, model)

    def without_ledger(self, asked: DecisionRequest, customer_id: str) -> dict[str, Any]:
        """What `answer` gives for a customer of whom nothing can be read."""
        model, _ = self._state.required()
        call = _call(asked)
        decisions = self._nobody(call, [customer_id], call.moment())
        content = {"model_version": model.version, "decisions": [{"status": DECIDED, **decisions[0]}]}
        return self._told(asked, content, model)

    def for_erased(self, asked: DecisionRequest, customer_id: str) -> dict[str, Any]:
        """What `answer` gives for somebody who was erased, of whom nothing may be read or recorded."""
        model, _ = self._state.required()
        call = _call(asked)
        at, days = call.moment(), model.playbook.program.decision_window_days
        told = {
            "assignment": "suppressed",
            "reason_codes": [codes.SUPPRESSED],
            "expires_at": window_end(window_number(at, days), days),
        }
        decision = clean({**self._no_contact(call, at), **told, "customer_id": customer_id})
        return self._told(
            asked, {"model_version": model.version, "decisions": [{"status": DECIDED, **decision}]}, model
        )

    def _told(self, asked: DecisionRequest, content: dict[str, Any], model: DecisionModel) -> dict[str, Any]:
        """The content, counted, and with words where they were asked for."""
        decided = [item for item in content["decisions"] if item["status"] == DECIDED]
        metrics.decided(decided, dry_run=asked.dry_run)
        metrics.rejected(len(content["decisions"]) - len(decided))
        if asked.explain:
            currency = model.playbook.currency
            content["decisions"] = [
                item | {EXPLANATION: explanation(item, currency)} if item["status"] == DECIDED else item
                for item in content["decisions"]
            ]
        return content

    def close(self) -> None:
        """Finish what was begun."""
        for lane in (self._repeated, self._few, self._many, self._late):
            lane.close()

    async def _recorded(self, call: Call) -> Answers:
        """Answers that stand in the ledger: those given before, the model's, or the rules' where it is late.

        What the ledger could not answer or take is answered as `_unrecorded` does.
        """
        answers: Answers = [{} for _ in call.rows]
        try:
            async with asyncio.timeout(max(LEDGER_SECONDS, 2 * self._budget)):
                answers = await asyncio.wrap_future(self._repeated.submit(call))
                await self._fill(answers, call, self._decided)
        except (LedgerUnavailable, TimeoutError) as error:
            logger.warning("the ledger is not available (%s); nobody is contacted", type(error).__name__)
            await self._fill(answers, call, self._unrecorded)
        return answers

    async def _fill(self, answers: Answers, call: Call, answer: Callable[[Call], Awaitable[Answers]]) -> None:
        """Answer the rows that have no answer yet."""
        left = [i for i, found in enumerate(answers) if not found]
        if left:
            rest = replace(call, rows=[call.rows[i] for i in left])
            for position, item in zip(left, await answer(rest), strict=True):
                answers[position] = item

    async def _unrecorded(self, call: Call) -> Answers:
        """Contact nobody: without the ledger that alone is safe, as nothing of a person's refusals can be read."""
        model, _ = self._state.required()
        at = call.moment()
        checked = await asyncio.to_thread(check_customers, list(call.rows), model.playbook, at)
        answers = self._nobody(call, checked.people.ids, at)
        return [_item(i, row, checked, answers) for i, row in enumerate(call.rows)]

    def _nobody(self, call: Call, customer_ids: Iterable[str], at: pd.Timestamp) -> Answers:
        """Decisions to contact nobody that are in no ledger; they hold until it is worth asking again."""
        told = {
            "assignment": "fallback",
            "reason_codes": [codes.LEDGER_UNAVAILABLE],
            "expires_at": at + pd.Timedelta(seconds=RETRY_AFTER_SECONDS),
        }
        same = self._no_contact(call, at) | told
        answers = [clean({**same, "customer_id": key}) for key in customer_ids]
        metrics.unrecorded(len(answers))
        return answers

    def _no_contact(self, call: Call, at: pd.Timestamp) -> dict[str, Any]:
        """What decisions to contact nobody that are in no ledger have in common, whatever they are made by."""
        model, _ = self._state.required()
        return {
            **dict.fromkeys(DECISION_COLUMNS),
            "campaign": call.campaign,
            "send": False,
            "action": CONTROL,
            "probability": 1.0,
            "cost": 0.0,
            "not_before": at,
            "model_version": model.version,
            "playbook_version": model.playbook.version,
            "would_have_sent": CONTROL,
            "reason_source": "fallback",
            "touch": 0,
            "contact_at": at,
        }

    async def _decided(self, call: Call) -> Answers:
        lane = self._few if len(call.rows) < MANY else self._many
        future = lane.submit(call)
        seconds = self._budget + SECONDS_A_CUSTOMER * len(call.rows)
        try:
            # shielded: what the model has begun is finished, and may be the answer that stands
            return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), seconds)
        except TimeoutError:
            future.cancel()
            logger.warning("the model did not answer for %d customers in time; the rules decide", len(call.rows))
            return await asyncio.wrap_future(self._late.submit(call))

    def _repeats(self, calls: list[Call]) -> list[Answers | Exception]:
        """For each row the answer that stands, if nothing in the ledger can have withdrawn it; else an empty one."""
        model, ledger = self._state.required()
        keys = [_keys(call, model.playbook.program.decision_window_days) for call in calls]
        found = ledger.repeats([key for of_call in keys for key in of_call if key is not None])
        return [
            [
                {"status": DECIDED, **_as_consented(found[key], row, model.playbook)}
                if key is not None and key in found
                else {}
                for key, row in zip(of_call, call.rows, strict=True)
            ]
            for of_call, call in zip(keys, calls, strict=True)
        ]

    def _by_model(self, calls: list[Call]) -> list[Answers | Exception]:
        """The model's answers; where it fails, those of the rules."""
        results = self._in_rounds(calls, decide_online)
        failed = [i for i, result in enumerate(results) if _is_the_models(result)]
        for i, answers in zip(failed, self._by_rules([calls[i] for i in failed]), strict=True):
            logger.error("the model failed (%s); the rules decide", type(results[i]).__name__)
            results[i] = answers
        return results

    def _by_rules(self, calls: list[Call]) -> list[Answers | Exception]:
        return self._in_rounds(calls, decide_by_rules)

    def _in_rounds(self, calls: list[Call], decide: Decide) -> list[Answers | Exception]:
        """Answers of calls; those for the same campaign and time in one go, and the same call of many only once."""
        first = [calls.index(call) for call in calls]
        different = sorted(set(first))
        results: dict[int, Answers | Exception] = {}
        for positions in _rounds([calls[i] for i in different]):
            together = [different[i] for i in positions]
            answers = self._in_one_go([calls[i] for i in together], decide)
            results |= zip(together, answers, strict=True)
        return [results[i] for i in first]

    def _in_one_go(self, calls: Sequence[Call], decide: Decide) -> list[Answers | Exception]:
        """Answers of calls for one campaign and time, which share no customer; if that fails, of each for itself."""
        rows = [row for call in calls for row in call.rows]
        try:
            started = time.perf_counter()
            items, _ = self._answered(Call(calls[0].at, calls[0].campaign, rows), decide)
            metrics.ledger_written(time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - it is raised to who asked, and to nobody else
            if len(calls) == 1 or isinstance(error, LedgerUnavailable):
                return [error] * len(calls)
            logger.error("deciding for %d calls in one go failed (%s)", len(calls), type(error).__name__)
            return [answers for call in calls for answers in self._in_one_go([call], decide)]
        ends = itertools.accumulate(len(call.rows) for call in calls)
        return [items[end - len(call.rows) : end] for call, end in zip(calls, ends, strict=True)]

    def _try(self, call: Call, scenarios: list[dict[str, Any]] | None) -> dict[str, Any]:
        """Answers that nothing is recorded of, and what other settings would bring."""
        model, ledger = self._state.required()
        at = call.moment()
        items, customers = self._answered(replace(call, at=at), partial(decide_online, dry_run=True))
        content: dict[str, Any] = {"decisions": items}
        if scenarios is not None and len(customers):
            content["what_if"] = what_if(model, ledger, customers.table, scenarios, at=at, campaign=call.campaign)
        return content

    def _answered(self, call: Call, decide: Decide) -> tuple[Answers, People]:
        """The answer to each row, and the customers that could be read."""
        model, ledger = self._state.required()
        at = call.moment()
        checked = check_customers(list(call.rows), model.playbook, at)
        answers: Answers = []
        if len(checked.people):
            answers = decide(model, ledger, checked.people, at=at, campaign=call.campaign)
        return [_item(i, row, checked, answers) for i, row in enumerate(call.rows)], checked.people


def _call(asked: DecisionRequest) -> Call:
    at = None if asked.at is None else pd.Timestamp(asked.at).tz_convert("UTC")
    return Call(at, asked.campaign, asked.rows)


def _is_the_models(result: Answers | Exception) -> bool:
    """Whether the model failed; without the ledger the rules would fail too."""
    return isinstance(result, Exception) and not isinstance(result, LedgerUnavailable)


def _keys(call: Call, window_days: float) -> list[str | None]:
    """The id of each row's decision; None where the row has no plain customer id, or one that another row has too."""
    window = window_number(call.moment(), window_days)
    ids = [_plain_id(row) for row in call.rows]
    times = Counter(ids)
    keys = decision_keys([key or "" for key in ids], call.campaign, window)
    return [key if of is not None and times[of] == 1 else None for key, of in zip(keys, ids, strict=True)]


def _as_consented(stands: dict[str, Any], row: dict[str, Any], playbook: Playbook) -> dict[str, Any]:
    """An answer that stands, or, where the row says no to the consent that its contact needs, the contact withdrawn."""
    consent = consent_of(stands, playbook)
    return without_consent(stands) if consent is not None and one_flag(row.get(consent)) is False else stands


def _plain_id(row: dict[str, Any]) -> str | None:
    """A customer id as the contract reads it; None where only the contract can tell whether it is one."""
    key = row.get("customer_id")
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    return (key.strip() or None) if isinstance(key, str) else None


def _rounds(calls: Sequence[Call]) -> list[list[int]]:
    """Calls that can be decided in one go: of one campaign and time, and no customer in two of them."""
    rounds: list[tuple[tuple[Any, str], set[str | None], list[int]]] = []
    for i, call in enumerate(calls):
        kind, people = (call.at, call.campaign), {_plain_id(row) for row in call.rows}
        fits = next((r for r in rounds if r[0] == kind and not r[1] & people), None)
        if fits is None:
            rounds.append((kind, people, [i]))
        else:
            fits[1].update(people)
            fits[2].append(i)
    return [positions for _, _, positions in rounds]


def _item(number: int, row: dict[str, Any], checked: CheckedCustomers, answers: Answers) -> dict[str, Any]:
    if number in checked.faults:
        key = row.get("customer_id")
        told = str(key) if isinstance(key, (str, int, float)) else None
        return {"customer_id": told, "status": REJECTED, "error": checked.faults[number]}
    return {"status": DECIDED, **answers[checked.position[number]]}
