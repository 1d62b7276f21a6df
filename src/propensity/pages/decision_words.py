"""A decision's codes as plain sentences for marketers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from propensity.answer_features import ANSWERED_BY
from propensity.learners.explanation import LESS, LEVELS, MORE
from propensity.pages.words import LEFT_ALONE, NOT_OF_DECISIONS, OF_A_CHANNEL, action_words, left_alone, listed
from propensity.policy import codes

FOR_ALL = "best_action_for_all"
CHOSEN = {
    "worth_more_than_it_costs": "it is predicted to be worth most to this person after costs",
    FOR_ALL: "it is worth most to people on average, and people are not told apart here",
    codes.BY_RULES: "the playbook's rules call for it; the model did not answer in time",
}
"""Why an action was chosen, by the first reason code."""
DRAWN = "was drawn at random among what this person may get, to learn what it does"
WOULD_HAVE_GOT = "they would have got {}"
DOES_MORE, DOES_LESS = (
    "it does more for them than for most, going by {}",
    "it does less for them than for most, going by {}",
)
MORE_OF_CHOSEN = {codes.BEST_WITHIN_LIMITS: "what is worth more goes to others, because budget or capacity end"}
"""What a later reason code adds."""
ALTERNATIVE_LOST = {
    codes.HELD_OUT: "but nobody who is held out gets anything",
    codes.TRIED: "but here the choice was left to chance, to learn",
    codes.DEAR: "which is less than nothing: it costs more than it brings",
    codes.LIMITS: "which is more, but budget or capacity end before this person",
    codes.LESS_WORTH: "which is no more",
}
ARCHETYPE_BY = {
    codes.BY_REASON_AND_EFFECT: "the message also answers why they left",
    codes.BY_EFFECT: "the message is chosen by its measured effect, not by why they left",
}
ASSIGNMENTS = {
    "policy": "chosen by what it is worth",
    "explore": "drawn at random, to learn",
    "holdout": "held out, to measure",
    "suppressed": "may not be contacted",
    "fallback": (
        "left out, because budget or capacity end or nothing could be recorded, or chosen by the rules, because the "
        "model was late"
    ),
}
REASON_SOURCES = {
    "stated": "as they said",
    "text": "by what they wrote when they left",
    "predicted": "as the model tells from what is known of them",
    "fallback": "assumed, because nobody knows",
}
REASONS = {
    "price": "the price",
    "product_gap": "something that the product lacked",
    "competitive_switch": "a competitor",
    "internal_change": "a change on their own side",
    "no_longer_needed": "no more need",
    "service_problem": "a problem with the service",
    "fit_problem": "a product or tier that did not fit",
    "disengaged": "drifting away",
}
EXPLANATION = "explanation"
"""Column and key that hold the sentences."""
YES_OR_NO = {"1": "yes", "0": "no"}


def explanation(decision: Mapping[Any, Any], currency: str) -> str:
    """Why a decision is what it is, in one or two sentences.

    Parameters
    ----------
    decision : mapping
        With the keys of `decision.DECISION_COLUMNS`, as a row or as JSON.
    currency : str
        The playbook's.
    """
    first, *more = decision["reason_codes"]
    action, assignment = action_words(decision["action"]), decision["assignment"]
    if assignment == "explore":
        why = f"{action} {DRAWN}"
    elif assignment == "holdout":
        would = next((_inside(code, codes.WOULD_HAVE_SENT) for code in more), None)
        why = f"not contacted: they {left_alone(codes.HELD_OUT)}" + (
            f"; {WOULD_HAVE_GOT.format(action_words(would))}" if would else ""
        )
    elif decision["send"]:
        why = f"{action} was chosen because {CHOSEN[first]}"
        # averages are not the person's own value, and rules know none
        why += f": {_money(decision['net_value'], currency)}" if first not in (FOR_ALL, codes.BY_RULES) else ""
        why = "; ".join([why, *_additions(decision, more)])
    else:
        why = f"not contacted: {left_alone(first)}"
    sentences = [why, *_alternative(decision, currency)]
    return " ".join(f"{s[0].upper()}{s[1:]}." for s in sentences)


def explained(decisions: pd.DataFrame, currency: str) -> pd.DataFrame:
    """The decisions with the column ``explanation``; see `explanation`."""
    rows = (dict(zip(map(str, decisions), row, strict=True)) for row in decisions.itertuples(index=False, name=None))
    told = [explanation(row, currency) for row in rows]
    return decisions.assign(**{EXPLANATION: told})


def _additions(decision: Mapping[Any, Any], more: Sequence[str]) -> list[str]:
    """What else speaks for a chosen action: limits, what is special about the person, and why they left."""
    added = [MORE_OF_CHOSEN[code] for code in more if code in MORE_OF_CHOSEN]
    for word, told in ((MORE, DOES_MORE), (LESS, DOES_LESS)):
        facts = [fact_words(code.removeprefix(f"{word}:")) for code in more if code.startswith(f"{word}:")]
        if facts:
            added.append(told.format(listed(facts)))
    reason, by = decision["reason_for_churn"], decision["archetype_by"]
    if by in ARCHETYPE_BY and reason in REASONS:
        added.append(f"{ARCHETYPE_BY[by]} ({REASONS[reason]}, {REASON_SOURCES[decision['reason_source']]})")
    return added


def _alternative(decision: Mapping[Any, Any], currency: str) -> list[str]:
    other, lost = decision["alternative"], decision["alternative_lost"]
    # of who is held out or stopped, everything is said before
    if not isinstance(other, str) or decision["assignment"] in ("holdout", "suppressed"):
        return []
    worth = _money(decision["alternative_net_value"], currency)
    worth += " on average" if decision["reason_codes"][0] == FOR_ALL else ""
    if not decision["send"]:  # why was said of the person
        return [f"best would have been {action_words(other)}, worth {worth}"]
    best = "next best" if decision["assignment"] == "policy" else "best"
    return [f"{best} was {action_words(other)}, worth {worth}, {ALTERNATIVE_LOST[lost]}"]


def fact_words(fact: str) -> str:
    """A fact of an effect code (see `EffectExplainer.reasons`) for people: "high tenure months", "region north"."""
    name, is_, value = fact.partition("=")
    if name.startswith(ANSWERED_BY):
        return _answer_words(name.removeprefix(ANSWERED_BY), value)
    if is_:
        return f"{action_words(name)} {action_words(YES_OR_NO.get(value, value))}"
    name, _, level = fact.rpartition("_")
    return f"{level} {action_words(name)}" if name and level in LEVELS else action_words(fact)


def _answer_words(told: str, value: str) -> str:
    """How likely an archetype answers why a person left: "<archetype>" and "1" or "0", or "<archetype>_<level>"."""
    if value:
        return f'that "{action_words(told)}" {"answers" if value == "1" else "does not answer"} why they left'
    archetype, _, level = told.rpartition("_")
    if level == "unknown":
        return "that nothing is known of why they left"
    return f'a {level} chance that "{action_words(archetype)}" answers why they left'


def has_words(code: str) -> bool:
    """Whether a reason code is told in words and not by its name."""
    return (
        code in CHOSEN
        or code in MORE_OF_CHOSEN
        or code in (codes.TRIED, *LEFT_ALONE)
        or code.startswith((f"{MORE}:", f"{LESS}:"))
        or _inside(code, codes.WOULD_HAVE_SENT) is not None
        or left_alone(code) != action_words(code)
    )


def code_words() -> list[tuple[str, bool, str]]:
    """Every reason code that a decision may have, whether something is sent then, and its words; for documentation."""
    sent = {**CHOSEN, **MORE_OF_CHOSEN, codes.TRIED: DRAWN}
    sent |= {f"{MORE}:<fact>": DOES_MORE.format("the fact"), f"{LESS}:<fact>": DOES_LESS.format("the fact")}
    not_sent = {code: words for code, words in LEFT_ALONE.items() if code not in NOT_OF_DECISIONS}
    not_sent |= {code.format("<channel>"): words.format("the channel") for code, words in OF_A_CHANNEL.items()}
    not_sent[codes.WOULD_HAVE_SENT.format("<action>")] = WOULD_HAVE_GOT.format("the action")
    return [(code, True, words) for code, words in sent.items()] + [(c, False, words) for c, words in not_sent.items()]


def _inside(code: str, pattern: str) -> str | None:
    start, end = pattern.split("{}")
    return code.removeprefix(start).removesuffix(end) if code.startswith(start) and code.endswith(end) else None


def _money(amount: float, currency: str) -> str:
    return f"{currency} {amount:,.2f}"
