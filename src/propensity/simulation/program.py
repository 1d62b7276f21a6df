"""A simulated win-back program: the three contract tables, and beside them the truth that no company ever sees."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from propensity import playbook as playbooks
from propensity.contract import REASONS
from propensity.features import SEGMENT_FEATURES
from propensity.playbook import Playbook
from propensity.simulation.customers import Flags, Floats, Traits, draw_customers
from propensity.simulation.effects import Response, responses
from propensity.simulation.events import draw_numbers, outcomes_table
from propensity.simulation.logging_rule import contacts_table, draw_actions, eligible_actions, logging_probabilities

DECIDED_AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
"""When the simulated wave is decided, unless told otherwise: a Monday morning."""
TABLES = ("customers", "contacts", "outcomes")
TRUTH = ("reactivation_probability", "expected_revenue", "unsubscribe_probability", "eligible", "reason")


class SimulationError(ValueError):
    """A program cannot be simulated as asked, or not be written there."""

    exit_code = 2


@dataclass(frozen=True)
class Truth:
    """What no table shows. The rows are all customers, indexed by ``customer_id`` in the order of their table.

    Attributes
    ----------
    reactivation_probability : DataFrame (n, actions with control)
        Chance of coming back within the attribution window under each action, counting that some contacts bounce.
    expected_revenue : DataFrame (n, actions with control)
        Mean money that comes in within the attribution window, currency a person, less what the offer takes off and
        before all costs.
    unsubscribe_probability : DataFrame (n, actions with control)
        Chance of an opt-out within the attribution window.
    eligible : DataFrame (n, actions with control) of bool
        Whether the person may get the action; control is always eligible. People for whom only control is true are
        not in the program and have no contact.
    reason : Series (n,) of str
        Why they really left; the customers table has it for a minority, and for some of them not truly.
    """

    reactivation_probability: pd.DataFrame
    expected_revenue: pd.DataFrame
    unsubscribe_probability: pd.DataFrame
    eligible: pd.DataFrame
    reason: pd.Series


@dataclass(frozen=True)
class SimulatedProgram:
    """One wave of a program. ``customers``, ``contacts`` and ``outcomes`` keep the contract; ``truth`` is apart."""

    customers: pd.DataFrame
    contacts: pd.DataFrame
    outcomes: pd.DataFrame
    truth: Truth


def simulate(
    n_customers: int,
    *,
    seed: int = 0,
    playbook: Playbook | None = None,
    decided_at: datetime = DECIDED_AT,
    effect_scale: float = 1.0,
) -> SimulatedProgram:
    """Simulate one randomised wave over customers who left.

    Parameters
    ----------
    n_customers : int
        At least 1. Under about a hundred, a table may be empty.
    seed : int
        The same seed gives the same tables. Customers, decisions and chance have streams of their own: another
        ``effect_scale`` changes neither who the people are nor what they are sent.
    playbook : Playbook, optional
        The shipped ``default`` unless given. Its features must be among the simulated ones.
    decided_at : datetime
        When the wave is decided; timezone-aware.
    effect_scale : float
        Multiplies every effect of every action. At 0 all potential outcomes are those without contact.

    Returns
    -------
    SimulatedProgram

    Raises
    ------
    SimulationError
        An argument is out of range, or the playbook names a feature that simulated customers do not have.

    Notes
    -----
    **Response.** `effects.responses` gives the formula. The figures behind it are practitioner figures of a field
    guide to winning customers back: no contact under 30 days, a peak at 60-180 days, a long decline; in-app 3-5 times
    e-mail; a wrong archetype up to an order of magnitude worse; after a service failure 35-45 % for a person who
    calls against 2-4 % for e-mail; 1-3 % for a generic blast and 8-12 % for a well segmented program. Where the guide
    is silent they are assumptions, listed beside it in `customers`, `effects` and `events`.

    **Potential outcomes.** Each person has one uniform number u for the return, one for the arrival of a contact and
    so on, the same under every action: they return within the window under a iff u < p(a). Revenue is zero-inflated:
    a share of the reactivated pay, a lognormal amount around their spend times what the offer leaves of it.

    **Decisions.** Eligible people, see `logging_rule.eligible_actions`, are held out with the playbook's two holdout
    shares together, and otherwise get a random eligible action. ``contacts.probability`` is the exact chance of the
    served action, ``probability_<action>`` that of each. Weekly capacities are not applied: they would make one
    person's chance depend on another's draw.
    """
    if playbook is None:
        playbook = playbooks.load("default")
    _check_arguments(n_customers, decided_at, effect_scale)
    people, luck, lottery = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))
    customers, traits = draw_customers(n_customers, playbook, decided_at, people)
    _check_features(playbook, customers)
    response = responses(playbook, traits, effect_scale)
    eligible = eligible_actions(customers, playbook, decided_at)
    probabilities = logging_probabilities(eligible, playbook)
    in_program = np.logical_or.reduce(eligible[:, 1:], axis=1)
    served = np.where(in_program, draw_actions(probabilities, lottery), 0)
    contacts = contacts_table(
        customers.loc[in_program], playbook, decided_at, probabilities[in_program], served[in_program]
    )
    decision_ids = np.full(n_customers, None, dtype=object)
    decision_ids[in_program] = contacts["decision_id"].to_numpy()
    draws = draw_numbers(n_customers, luck)
    outcomes = outcomes_table(customers, decision_ids, served, response, draws, playbook, decided_at)
    return SimulatedProgram(customers, contacts, outcomes, _truth(customers, traits, response, eligible))


def write(program: SimulatedProgram, directory: str | Path, *, overwrite: bool = False) -> Path:
    """Write a program as Parquet files; the truth goes into a sub-directory ``truth``, apart from the tables.

    All files are written aside first and then moved into place one by one, so that none is ever half-written.

    Parameters
    ----------
    program : SimulatedProgram
    directory : str or Path
        Made if need be. Other files in it are left alone.
    overwrite : bool
        Replace the files of an earlier program.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    SimulationError
        The directory holds a program and ``overwrite`` is false, or it cannot be written.
    """
    directory = Path(directory)
    frames = {f"{name}.parquet": getattr(program, name) for name in TABLES}
    for name in TRUTH:
        values = getattr(program.truth, name)
        frames[f"truth/{name}.parquet"] = values.to_frame() if isinstance(values, pd.Series) else values
    taken = [name for name in frames if (directory / name).exists()]
    if taken and not overwrite:
        raise SimulationError(
            f"{directory} already holds {taken[0]}: name another directory, or replace the program with --overwrite"
        )
    try:
        (directory / "truth").mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=directory, prefix=".partial-"))
    except OSError as error:
        raise SimulationError(f"{directory} cannot be written ({error.strerror}): name another directory") from error
    try:
        (aside / "truth").mkdir()
        for name, frame in frames.items():
            frame.to_parquet(aside / name)
        for name in frames:
            (aside / name).replace(directory / name)
    except OSError as error:
        raise SimulationError(f"{directory} cannot be written ({error.strerror}): make room there") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return directory


def _truth(customers: pd.DataFrame, traits: Traits, response: Response, eligible: Flags) -> Truth:
    index = pd.Index(customers["customer_id"].to_numpy(), name="customer_id")

    def frame(values: Floats | Flags) -> pd.DataFrame:
        return pd.DataFrame(values, index=index, columns=list(response.actions))

    return Truth(
        reactivation_probability=frame(response.reactivation()),
        expected_revenue=frame(response.revenue_currency()),
        unsubscribe_probability=frame(response.unsubscribe_probability()),
        eligible=frame(eligible),
        reason=pd.Series(np.asarray(REASONS, dtype=object)[traits.reason], index=index, name="reason", dtype="str"),
    )


def _check_arguments(n_customers: int, decided_at: datetime, effect_scale: float) -> None:
    if n_customers < 1:
        raise SimulationError(f"n_customers == {n_customers}, must be >= 1")
    if decided_at.tzinfo is None:
        raise SimulationError(f"decided_at == {decided_at}, must have a timezone, e.g. {DECIDED_AT.isoformat()}")
    if not (np.isfinite(effect_scale) and effect_scale >= 0):
        raise SimulationError(f"effect_scale == {effect_scale}, must be a number >= 0")


def _check_features(playbook: Playbook, customers: pd.DataFrame) -> None:
    named = (*playbook.features.numeric, *playbook.features.categorical)
    unknown = [name for name in named if name not in {*customers.columns, *SEGMENT_FEATURES}]
    if unknown:
        raise SimulationError(
            f"playbook {playbook.name}: simulated customers have no {', '.join(unknown)}; "
            f"they have {', '.join(customers.columns)}"
        )
