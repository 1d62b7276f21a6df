"""What a summary of an experiment holds: the one object that page, terminal, PDF, CSV and JSON show.

Every figure is computed once, in `summary.py` and what it calls; everything else only shows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from typing import Any, Literal

from propensity.assessment import Assessment
from propensity.evaluation import Estimate
from propensity.inference import SampleRatio

ANY_CONTACT = "any_contact"
"""Name of all contacted people together, whatever they got."""

OutcomeKind = Literal["share", "money"]
"""Of people to whom something happened; of currency a person."""

Unit = Literal["share", "people", "money", "ratio", "days"]

Standing = Literal["good", "watch", "bad"]


@dataclass(frozen=True)
class Outcome:
    """Something that people did inside the attribution window.

    Attributes
    ----------
    key : str
        ``reactivated``, ``purchased``, ``revenue``, ``unsubscribed``, ``complained``, ...
    kind : {"share", "money"}
    word, words : str
        For people: "visit", "visits"; money has "revenue" in both.
    definition : str
        One sentence.
    """

    key: str
    kind: OutcomeKind
    word: str
    words: str
    definition: str


@dataclass(frozen=True)
class ArmTotal:
    """What the people of one arm did, as counted.

    Attributes
    ----------
    action : str
    people : int
    with_it : int
        People to whom the outcome happened; of money, those with an amount that is not 0.
    total : float
        Sum of the outcome: people, or currency.
    """

    action: str
    people: int
    with_it: int
    total: float


@dataclass(frozen=True)
class Effect:
    """What an arm (or any contact) changed for each person, against no contact.

    Attributes
    ----------
    action : str
        An arm, or ``any_contact``.
    n, n_control : int
        People compared.
    mean, control_mean : float
        Outcome per person.
    difference : Estimate
        Per person, adjusted for what was known before where that is possible.
    unadjusted : Estimate
        The same without adjustment.
    relative : Estimate or None
        Share of the control mean; None where that mean cannot be told from 0.
    p_value, p_adjusted : float
        That there is no difference; the latter allows for all arms that are compared on this outcome.
    clear : bool
        Whether it can be told from no effect, allowing for the other arms and, for outcomes beside the primary one, for
        these too.
    shrunk : float
        The difference drawn towards the other arms': what to expect when the arm is chosen because it looks best.
    """

    action: str
    n: int
    n_control: int
    mean: float
    control_mean: float
    difference: Estimate
    unadjusted: Estimate
    relative: Estimate | None
    p_value: float
    p_adjusted: float
    clear: bool
    shrunk: float


@dataclass(frozen=True)
class AmongArms:
    """Whether the contacted arms differ from one another.

    Attributes
    ----------
    p_value : float
        That all of them do the same (Wald test).
    clear : bool
    best, worst : str
    difference : Estimate
        Best minus worst, per person; its interval allows for their having been picked.
    """

    p_value: float
    clear: bool
    best: str
    worst: str
    difference: Estimate


@dataclass(frozen=True)
class OutcomeResult:
    """One outcome: what was counted in each arm, and what contact changed.

    Attributes
    ----------
    totals : tuple of ArmTotal
        Control first.
    effects : tuple of Effect
        One an arm.
    any_contact : Effect or None
        All arms as one; None where there is nothing to compare.
    among_arms : AmongArms or None
        None with fewer than two arms.
    adjusted_for : tuple of str
        Columns, known before the decision, by which differences are adjusted.
    narrower : float
        Share of the width that adjustment takes from the interval of ``any_contact``.
    capped_at : float or None
        Amounts above it count as it (money); set from the amounts that are not 0 of all arms together.
    """

    outcome: Outcome
    totals: tuple[ArmTotal, ...]
    effects: tuple[Effect, ...]
    any_contact: Effect | None
    among_arms: AmongArms | None = None
    adjusted_for: tuple[str, ...] = ()
    narrower: float = 0.0
    capped_at: float | None = None


@dataclass(frozen=True)
class MoneyPart:
    """Revenue's two parts: how many buy, and how much each of them spends.

    Attributes
    ----------
    action : str
    by_more_buyers, by_larger_amounts : Estimate
        Currency per person; their sum is the difference in revenue.
    """

    action: str
    by_more_buyers: Estimate
    by_larger_amounts: Estimate


@dataclass(frozen=True)
class Measure:
    """One of the figures by which a win-back program is judged.

    Attributes
    ----------
    key, title : str
    definition : str
        One sentence, with the formula in words.
    unit : {"share", "people", "money", "ratio", "days"}
    value, low, high : float or None
        None: not known, see ``missing``; bounds are None where the figure is a plain count.
    healthy : str
        What is usual, in words; empty where nothing is.
    standing : {"good", "watch", "bad"} or None
        Against what is usual.
    missing : str
        Why there is no value, in a sentence.
    """

    key: str
    title: str
    definition: str
    unit: Unit
    value: float | None
    low: float | None = None
    high: float | None = None
    healthy: str = ""
    standing: Standing | None = None
    missing: str = ""


@dataclass(frozen=True)
class ArmMeasures:
    """The measures of one arm, or of any contact."""

    action: str
    measures: tuple[Measure, ...]


@dataclass(frozen=True)
class Guardrail:
    """Whether contact does harm: an event that must not become more frequent.

    Attributes
    ----------
    key, title : str
        Of the event: unsubscribed, complained, bounced.
    contacted, held_out : float
        Shares of people.
    difference : Estimate
        Contacted minus held out.
    margin : float
        The most that is tolerated, share of people.
    kept : bool or None
        True: shown to be below the margin; False: shown to be above it; None: cannot be told yet.
    """

    key: str
    title: str
    contacted: float
    held_out: float
    difference: Estimate
    margin: float
    kept: bool | None

    @property
    def reported(self) -> bool:
        """Whether the event happened to anybody, as far as was reported."""
        return self.contacted > 0 or self.held_out > 0


@dataclass(frozen=True)
class DayPoint:
    """The effect of any contact on the primary outcome, as it stood at the end of a day.

    ``difference`` has an always-valid band: the chance that it ever misses the truth, on any day, is at most 5 %.
    """

    day: date
    people: int
    difference: Estimate


@dataclass(frozen=True)
class ReturnCurve:
    """Share of people who came back, by whole days since the decision.

    Attributes
    ----------
    action : str
        ``control``, or ``any_contact``.
    days, share, low, high : tuples of equal length
        People whose window is open count for as long as they were watched.
    """

    action: str
    days: tuple[int, ...]
    share: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class FunnelStep:
    """How many contacted people reached a step; ``people`` by arm."""

    key: str
    title: str
    people: dict[str, int]


@dataclass(frozen=True)
class Reach:
    """What became of everybody who was decided on, whether or not their window is over.

    Attributes
    ----------
    people : int
        On whom there is a decision.
    contacted, held_out, suppressed, not_sent, left_out : int
        Decisions: carried out; held out; not allowed; to be sent, of which no event says that it was; and those that do
        not count because they came inside the window of an earlier one on the same person.
    suppressed_by : dict
        Decisions by the first reason for not allowing contact.
    share : float
        Contacted decisions of all.
    """

    people: int
    contacted: int
    held_out: int
    suppressed: int
    not_sent: int
    left_out: int
    suppressed_by: dict[str, int]
    share: float


@dataclass(frozen=True)
class SegmentEffect:
    """What contact of any kind brought to the people of one segment.

    Attributes
    ----------
    segment, value : str
        See `propensity.segments.SEGMENTS`.
    people : int
    reactivations : Estimate
        Extra ones per 1,000 people, against no contact.
    differs : bool
        Whether it is told from everybody else's, the chance of any false finding among all segments being 5 % (Holm).
    """

    segment: str
    value: str
    people: int
    reactivations: Estimate
    differs: bool


@dataclass(frozen=True)
class Cell:
    """An arm by what it is made of.

    Attributes
    ----------
    action, archetype, channel, offer : str
    people : int
    difference : Estimate or None
        Of the primary outcome, per person; None where it cannot be compared.
    """

    action: str
    archetype: str
    channel: str
    offer: str
    people: int
    difference: Estimate | None


@dataclass(frozen=True)
class SegmentRatio:
    """The sample-ratio test within one segment; ``p_adjusted`` allows for all segments that were tested."""

    segment: str
    value: str
    people: int
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class Imbalance:
    """A column, known before the decision, in which the arms differ most.

    ``difference`` is that of the arms' means in standard deviations, the largest over arms against control.
    """

    column: str
    difference: float


@dataclass(frozen=True)
class Health:
    """Whether the figures may be read.

    Attributes
    ----------
    sample_ratio : SampleRatio
    by_segment : tuple of SegmentRatio
        Those that were tested, the most suspicious first.
    balance_p_value : float or None
        That the arms are alike in everything that was known before; None where nothing was.
    imbalances : tuple of Imbalance
        The largest.
    crossed_over : int
        People who got what another arm of this experiment was to get.
    in_other_experiments : dict
        People of this experiment who were contacted or held out in another campaign inside their window, by campaign.
    last_event : datetime or None
        When the newest event of these people happened.
    missing_outcomes : tuple of str
        Types of events that the playbook's channels should bring and of which there is none.
    cautions : tuple of str
        Sentences on what limits the reading.
    faults : tuple of str
        Sentences on what forbids it; empty: healthy.
    """

    sample_ratio: SampleRatio
    by_segment: tuple[SegmentRatio, ...] = ()
    balance_p_value: float | None = None
    imbalances: tuple[Imbalance, ...] = ()
    crossed_over: int = 0
    in_other_experiments: dict[str, int] | None = None
    last_event: datetime | None = None
    missing_outcomes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether the figures may be read at all."""
        return not self.faults


@dataclass(frozen=True)
class Pace:
    """How people came into the experiment.

    Attributes
    ----------
    first, last : datetime
        When the first and the last of its people were decided on.
    people_a_day : float
        On average between the two; of an experiment that began and ended on one day, all its people.
    closes : datetime
        When the last window closes.
    running : bool
        Whether a window is open still, so that somebody looks before the end.
    """

    first: datetime
    last: datetime
    people_a_day: float
    closes: datetime
    running: bool


@dataclass(frozen=True)
class NextWave:
    """Decisions that act on the experiment.

    Attributes
    ----------
    campaign : str
    people : int
    sent : dict
        People per action, by policy and exploration together; control left out.
    predicted : dict
        For each sent action, what the model predicts on average of the people who get it: ``uplift`` (chance of coming
        back) and ``net_value`` (currency), per person.
    assignments : dict
        People per assignment.
    cost : float
        Of sending, in currency.
    reactivations, revenue : Estimate, optional
        Expected of the people whom the policy decides on (neither held out, nor exploring, nor suppressed), against
        contacting none of them; None where no assessment is known.
    """

    campaign: str
    people: int
    sent: dict[str, int]
    predicted: dict[str, dict[str, float]]
    assignments: dict[str, int]
    cost: float
    reactivations: Estimate | None
    revenue: Estimate | None


@dataclass(frozen=True)
class Published:
    """What was said of the experiment earlier, and is kept as it was.

    Attributes
    ----------
    number : int
        By which `propensity experiment published` finds it.
    at : datetime
    who : str
    headline : str
    fingerprint : str
        Of the data that it rested on.
    unchanged : bool
        Whether the figures rest on the same data still, and on as many people whose window is over.
    """

    number: int
    at: datetime
    who: str
    headline: str
    fingerprint: str
    unchanged: bool


@dataclass(frozen=True)
class Verdict:
    """What to do, in one headline, and the sentences that support it.

    Attributes
    ----------
    kind : {"unhealthy", "keep_running", "roll_out", "stop", "no_comparison"}
    headline : str
    worth : str
        What it is worth in money and how sure that is; empty where nothing can be said.
    sentences : tuple of str
    """

    kind: Literal["unhealthy", "keep_running", "roll_out", "stop", "no_comparison"]
    headline: str
    worth: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """An experiment as of a time.

    Attributes
    ----------
    campaign : dict
        The ledger's row: ``campaign``, ``title``, ``currency``, ``window_days``, ``reactivated_word`` and its plural
        ``reactivated_words``, ``started_at``, ``follows``.
    as_of : datetime
        Until when the ledger was read.
    fingerprint : str
        Of the data that the figures rest on: the same data give the same one.
    people : int
        Whose window is closed; all figures but ``returns`` and ``over_time`` are about them.
    open_windows : int
        Decisions that are left out because their window is open.
    outcomes : tuple of OutcomeResult
        The primary one first: coming back. Where there is nobody to compare with they have totals and no effects.
    published : tuple of Published
        The newest first.
    """

    campaign: dict[str, Any]
    as_of: datetime
    fingerprint: str
    people: int
    open_windows: int
    health: Health
    outcomes: tuple[OutcomeResult, ...]
    money_parts: tuple[MoneyPart, ...] = ()
    measures: tuple[ArmMeasures, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    over_time: tuple[DayPoint, ...] = ()
    returns: tuple[ReturnCurve, ...] = ()
    funnel: tuple[FunnelStep, ...] = ()
    reach: Reach | None = None
    segments: tuple[SegmentEffect, ...] = ()
    cells: tuple[Cell, ...] = ()
    assessment: Assessment | None = None
    model_version: str | None = None
    next_wave: NextWave | None = None
    pace: Pace | None = None
    published: tuple[Published, ...] = ()

    @property
    def primary(self) -> OutcomeResult | None:
        """The outcome that the verdict rests on."""
        return self.outcomes[0] if self.outcomes else None

    def outcome(self, key: str) -> OutcomeResult | None:
        """The result for an outcome, if it was looked at."""
        return next((x for x in self.outcomes if x.outcome.key == key), None)

    def to_json(self) -> dict[str, Any]:
        """As JSON-ready values; numbers that do not exist or have no end become None."""
        content: dict[str, Any] = json_ready(self)
        return {**content, "healthy": self.health.healthy}


def json_ready(value: Any) -> Any:
    """Dataclasses, named tuples and times as what JSON can say."""
    if isinstance(value, Assessment):
        return json_ready(value.to_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: json_ready(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {str(k): json_ready(v) for k, v in value._asdict().items()}
    if isinstance(value, dict):
        return {str(k): json_ready(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.isoformat() if isinstance(value, (date, datetime)) else value
