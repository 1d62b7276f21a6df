"""What a report's figures say, in sentences for everybody. None claims more than its interval."""

from __future__ import annotations

from propensity.contact_times import ANSWER_HOURS, BestTime
from propensity.contract import CONTROL
from propensity.evaluation import Estimate
from propensity.pages.words import action_words, chance, interval, percent
from propensity_training.report.contents import Interval, ModelReport

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def headline(report: ModelReport) -> str:
    """What the model does, in one sentence; or that nothing here can be trusted."""
    if not report.sample_ratio.healthy:
        return "Do not rely on this report: people did not get their actions with the logged chances."
    granted, plan = report.assessment.gate.granted, report.plan
    if report.mode == "nobody" and granted == "nobody":
        return "Contact nobody: contact is not shown to pay for itself."
    if not plan.contacted:
        return "This model contacts none of these people."
    if report.mode == "one_action":
        best, got = report.learnt.best_action, {part.name for part in plan.by_action}
        if best not in got:
            return f"Send the best action that each may get; none of these people may get {action_words(best)}."
        rest = ", and the next best action to the rest" if len(got) > 1 else ""
        return f"Send {action_words(best)} to everybody who may get it{rest}."
    kinds = len(plan.by_action)
    with_what = "one action" if kinds == 1 else f"{kinds} different actions"
    return f"Choose for each person: {percent(plan.contacted / n_people(report))} are contacted, with {with_what}."


def lead(report: ModelReport) -> list[str]:
    """The sentences that a reader in a hurry reads."""
    sentences = [_did(report), *_worth(report), *_against(report), report.assessment.gate.why]
    granted = report.assessment.gate.granted
    if granted != report.mode:
        sentences.append(f"Its policy is {mode(report.mode)}; these people would grant {mode(granted)}.")
    return [*sentences, ranking(report)]


def n_people(report: ModelReport) -> int:
    """Held-out decisions that the figures are of."""
    return report.held_out.n_decisions


def _did(report: ModelReport) -> str:
    plan, n = report.plan, n_people(report)
    on = f"{n:,} held-out decisions" if n != report.held_out.n_people else f"{n:,} held-out people"
    if not plan.contacted:
        return f"Of the {on} it would contact none."
    most = [f"{percent(part.share)} get {action_words(part.name)}" for part in plan.by_action[:3]]
    rest = len(plan.by_action) - 3
    if rest > 0:
        most.append(f"the others one of {rest} more actions" if rest > 1 else "the others one more action")
    return f"Of the {on} it would contact {percent(plan.contacted / n)}: {', '.join(most)}."


def _worth(report: ModelReport) -> list[str]:
    assessment, cur = report.assessment, report.currency
    model = assessment.policy("model")
    if model is None:
        return []
    if not report.plan.contacted:
        same = assessment.policy("one_action")
        if same is None or not same.contacted_share:
            return []
        brought = f"{interval(same.reactivations, sign=True)} {report.many}"
        value = f"{cur} {sums(same.expected_value, sign=True)}"
        told = same.expected_value.low > 0 or same.expected_value.high < 0
        return [
            f"Sending {action_words(same.title)} would have brought {brought} for each 1,000 people, and by the "
            f"playbook's rule for money, which the gate judges by, a value of {value}"
            + ("." if told else ", which cannot be told from nothing.")
        ]
    found = [
        f"For each 1,000 people, against contacting nobody, that brings {interval(model.reactivations, sign=True)} "
        f"{report.many} and a net value, after all costs, of {cur} {sums(model.net_value, sign=True)}"
        + (
            "."
            if model.net_value.low > 0 or model.net_value.high < 0
            else ": measured money alone does not tell it from nothing."
        )
    ]
    if model.expected_value != model.net_value:
        found.append(
            "By the playbook's rule for money, which is less noisy and which the gate judges by, that is "
            f"{cur} {sums(model.expected_value, sign=True)}."
        )
    return found


def _against(report: ModelReport) -> list[str]:
    """The model's policy against the simplest rivals."""
    found = []
    for key in ("one_action", "per_person", "rules"):
        rival = report.assessment.policy(key)
        if rival is None or not rival.contacted_share:
            continue
        gain = rival.model_minus_this["expected_value"]
        if gain.standard_error == 0:
            continue
        found.append(
            f"Against {action_words(rival.title)} it is worth {report.currency} {sums(gain, sign=True)} for each "
            f"1,000 people: {_told(gain)}."
        )
    return found if report.plan.contacted else []


def _told(gain: Interval | Estimate) -> str:
    if gain.low > 0:
        return "more, beyond chance"
    return "less, beyond chance" if gain.high < 0 else "a difference that cannot be told from chance"


def ranking(report: ModelReport) -> str:
    """Whether the model puts those first whom contact moves most."""
    if not report.curves.ranked:
        return "It predicts the same effect of contact for everybody, so it puts nobody before anybody else."
    autoc = report.assessment.autoc
    if autoc.low > 0:
        return "Those whom it ranks first gain more from contact than others do, beyond chance."
    if autoc.high < 0:
        return "Those whom it ranks first gain less from contact than others do, beyond chance: its order is wrong."
    return "Whether those whom it ranks first gain more from contact than others do cannot be told from these people."


def sample_ratio(report: ModelReport) -> str:
    """Whether arms have the sizes that their probabilities promise."""
    found = report.sample_ratio
    if found.healthy:
        return (
            "The sizes of the arms fit the logged probabilities: a split at least this uneven comes about in "
            f"{chance(found.p_value)} of healthy experiments."
        )
    return (
        "The sizes of the arms do not fit the logged probabilities: a split this uneven comes about in "
        f"{chance(found.p_value)} of healthy experiments. Find out where people were lost or added before reading on."
    )


def overlap(report: ModelReport) -> str:
    """How much these data can say of what the model would do."""
    found = report.overlap
    said = (
        f"The smallest chance that anybody had of an action is {percent(found.smallest, 2)} "
        f"({arm(found.smallest_action)}). "
    )
    if found.impossible_share:
        said += (
            f"In {percent(found.impossible_share)} of all pairs of a person and an arm there was no chance; there the "
            "data can say nothing. "
        )
    followed = f"{found.n_followed:,} of {n_people(report):,} were served by chance what the model would have done"
    if found.n_followed:
        followed += f", which is worth {found.followed_effective_n:,.0f} people with equal chances"
    return f"{said}{followed}."


def heterogeneity(report: ModelReport) -> str:
    """What the test for differences between people found, in training."""
    learnt = report.learnt
    p = f"p = {p_value(learnt.heterogeneity_p)}; below {learnt.heterogeneity_level:g} counts"
    if learnt.heterogeneity_p < learnt.heterogeneity_level:
        return f"In training, effects of contact were found to differ between people ({p})."
    return f"In training, no difference between people in what contact does was found beyond chance ({p})."


def contact_times(report: ModelReport) -> list[str]:
    """When people answered more, in training; or that no time is known to be better."""
    found = report.contact_times
    if not found.compared:
        return [
            "Times of contact were not compared: too few messages with a known time have the same message beside them, "
            "sent at other times in the same week. Contact goes out as soon as it may."
        ]
    looked = f"{found.compared:,} times of the week were compared on {found.sends:,} messages"
    if not found.best:
        return [f"{looked}; none was shown to be better. Contact goes out as soon as it may."]
    said = [f"{looked}; one is used only where it was shown to be better, once that many are allowed for."]
    said += [
        f"{action_words(channel).capitalize()}: people who were sent a message {clock(best)}, by their own clocks, "
        f"answered more ({percent(best.answered_share)} of {best.sends:,} opened or clicked within {ANSWER_HOURS} "
        f"hours, about {100 * best.gain:.1f} points more than with the same message at other times of the same weeks). "
        "Contact waits for that time."
        for channel, best in found.best.items()
    ]
    return [*said, "Unless times were drawn at random, that is a difference which was observed, and no effect."]


def clock(best: BestTime) -> str:
    """A time of the week."""
    parts = [] if best.weekday is None else [f"on {WEEKDAYS[best.weekday]}s"]
    if best.hours is not None:
        first, last = best.hours
        parts.append(f"between {first}:00 and {last}:00")
    return " ".join(parts)


def calibration(report: ModelReport, name: str, what: str) -> str:
    """What the slope of observed on predicted says of the predicted ``what``."""
    slope = report.assessment.slopes.get(name)
    if slope is None:
        return f"The predicted {what} do not vary, so there is nothing to check."
    figures = f"slope {slope.value:.2f}, 95 % sure: {slope.low:.2f} to {slope.high:.2f}; 1 is right"
    if slope.low > 1:
        return f"The predicted {what} vary less than the observed ones: the model claims too little ({figures})."
    if slope.high < 0:
        return (
            f"The predicted {what} run against the observed ones: the model has them the wrong way round ({figures})."
        )
    if slope.high < 1:
        return f"The predicted {what} vary more than the observed ones: the model claims too much ({figures})."
    if slope.low <= 0:
        return f"Whether the predicted {what} go with the observed ones at all cannot be told ({figures})."
    return f"The predicted {what} vary as the observed ones do, within chance ({figures})."


def segments(report: ModelReport) -> str:
    """How many segments were looked at, and how many differ."""
    found = report.segments
    if found is None:
        return "The model sees no feature, so there are no segments to look at."
    if not found.n_tested:
        return "No segment holds enough people to be tested."
    small = f" ({found.n_too_small:,} more hold too few people)" if found.n_too_small else ""
    looked = f"{found.n_tested:,} segments of {found.n_features} features were tested{small}"
    if not found.n_found:
        return (
            f"{looked}. Once that many are allowed for, none differs from everybody else: by chance alone some of "
            "them would look as if they did."
        )
    differ = "one differs" if found.n_found == 1 else f"{found.n_found:,} differ"
    return f"{looked}. Once that many are allowed for (Holm), {differ} from everybody else beyond chance."


def reasons(report: ModelReport) -> str:
    """Where the reasons come from by which held-out people would be treated."""
    found = report.reasons
    if found is None:
        return "Too few people stated why they left to learn from: whoever stated nothing counts as unknown."
    n = sum(found.sources.values())
    ways = {
        "stated": "the reason was stated",
        "text": "it was read from what people wrote",
        "predicted": "it was told from features",
        "fallback": f"it is unknown, and people are taken for {action_words(found.unknown_as)}",
    }
    told = [f"in {percent(found.sources[source] / n)} {way}" for source, way in ways.items() if found.sources[source]]
    return (
        f"Of {n:,} held-out decisions {_listed(told)}. A reason that was not stated counts if its chance is at least "
        f"{percent(found.min_probability, 0)} (the playbook's min_probability) and above its share among all who "
        "stated one."
    )


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def cost(report: ModelReport) -> str:
    """What the cost curve says at its end, where all that the model would buy is bought."""
    if not report.curves.cost:
        return f"There is no curve of value against budget: {report.curves.no_cost_curve}."
    cur, rows = report.currency, report.curves.cost
    end, half = rows[-1], rows[len(rows) // 2 - 1]
    brings = Interval(end["value"], end["low"], end["high"])
    over = Interval(half["over_random"], half["over_random_low"], half["over_random_high"])
    return (
        "For each 1,000 people, contacting everybody whom the model predicts to bring anything at all would cost "
        f"{cur} {money(end['spend'])} to send and bring {cur} {sums(brings)} before that cost. With half of "
        f"that budget, the model's order brings {cur} {sums(over, sign=True)} against a random order: {_told(over)}."
    )


def money(value: float) -> str:
    """A sum of money; small ones with cents."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"


def digits(found: Interval | Estimate) -> int:
    """Digits of a sum of money and its interval: cents where all are small."""
    return 0 if max(abs(found.value), abs(found.low), abs(found.high)) >= 100 else 2


def sums(found: Interval | Estimate, sign: bool = False) -> str:
    """A sum of money with its interval."""
    return interval(Estimate(found.value, float("nan"), found.low, found.high, 0, 0.95), digits(found), sign)


def p_value(p: float) -> str:
    """A p-value with two digits."""
    return "less than 0.0001" if p < 1e-4 else f"{p:.2g}"


def mode(name: str) -> str:
    """How a model decides."""
    return {"per_person": "to choose per person", "one_action": "one action for all", "nobody": "no contact"}[name]


def arm(action: str) -> str:
    """An arm in words."""
    return "no contact" if action == CONTROL else action_words(action)
