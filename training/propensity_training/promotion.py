"""Who is the champion: promotion through the gate, and the way back. Each is a row in the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from propensity import registry
from propensity.assessment import Assessment, assess
from propensity.datasets import Dataset
from propensity.errors import InputError
from propensity.granting import mode_of
from propensity.ledger import Ledger
from propensity.model import PolicyMode
from propensity.playbook import Playbook
from propensity.policy import valued_alike
from propensity.progress import Steps
from propensity.registry import Registered
from propensity_training.comparison import Comparison, compare, require_fit
from propensity_training.gate import Check, check_challenger, check_own_gate
from propensity_training.source import LedgerSource, Source, source_of
from propensity_training.unseen import unseen_people

ROLLBACK, FORCED, PROMOTION = "rollback", "forced", "promotion"
STEPS = 3
"""Steps that `examine` shows."""


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a challenger.

    Attributes
    ----------
    challenger : Registered
    champion : Registered or None
    checks : list of Check
    comparison : Comparison or None
        With the champion, where there is one.
    dataset : Dataset or None
        They were compared on.
    """

    challenger: Registered
    champion: Registered | None
    checks: list[Check]
    comparison: Comparison | None = None
    dataset: Dataset | None = None

    @property
    def passed(self) -> bool:
        """Whether every check was passed."""
        return all(check.passed for check in self.checks)

    @property
    def sentence(self) -> str:
        """Why, in a sentence or two: what was found wanting, or what the value rests on (always the first check)."""
        failed = [check.sentence for check in self.checks if not check.passed]
        return " ".join(failed) or self.checks[0].sentence

    def to_json(self) -> dict[str, object]:
        """As JSON-ready values."""
        compared = self.comparison.difference if self.comparison else {}
        return {
            "challenger": self.challenger.title,
            "champion": self.champion.title if self.champion else None,
            "passed": self.passed,
            "checks": [check.to_json() for check in self.checks],
            "challenger_minus_champion": {name: found._asdict() for name, found in compared.items()},
        }


def examine(
    model: str | None,
    which: str,
    dataset: Dataset | None,
    *,
    margin_currency: float,
    now: pd.Timestamp | None,
    steps: Steps,
    ledger: str | None = None,
    retrained: bool = False,
) -> Verdict:
    """Put a challenger through the gate; nothing is changed.

    Parameters
    ----------
    model : str, optional
        Name of the registered model; without it, the only one.
    which : str
        Alias or version of the challenger.
    dataset : Dataset, optional
        To judge on; by default the data of the challenger's training, where the people held out of it judge.
    margin_currency : float
        See `gate.check_value`.
    now : Timestamp, optional
        Decisions whose window is open at this time do not count.
    steps : Steps
        Where progress is shown.
    ledger : str, optional
        A ledger's address with its password, in case the challenger learnt from it.
    retrained : bool
        The challenger learnt as the champion did, from more decisions; see `gate.check_value`.

    Raises
    ------
    InputError
        The challenger is the champion, the data cannot judge both, or ``retrained`` is not true of it.
    """
    with steps.step("Find the challenger and the champion") as step:
        challenger_model, challenger = registry.load(model, which)
        standing = registry.champion_version(challenger.name)
        if standing == challenger.version:
            raise InputError(
                f"model {challenger.title}: is the champion already; name another version, or make one with: "
                "propensity train"
            )
        step.result = f"{challenger.title} against {f'version {standing}' if standing else 'nobody: there is none yet'}"
    if standing is None:
        own = Assessment.from_json(registry.artifact(challenger, "assessment.json"))
        return Verdict(challenger, None, [check_own_gate(own)])
    if retrained:
        _require_more_decisions(challenger, registry.find(challenger.name, standing))
    if dataset is None:
        with steps.step("Read the data of its training again") as step:
            dataset = _source_of(challenger, challenger_model.playbook, ledger).load()
            step.result = dataset.origin
    with steps.step("Compare them on people whom neither saw in training") as step:
        champion_model, champion = registry.load(challenger.name, standing)
        unseen = unseen_people(dataset, [challenger, champion], now)
        for each, registered in ((challenger_model, challenger), (champion_model, champion)):
            require_fit(each, registered.title, dataset.playbook, unseen.frame)
        comparison = compare(challenger_model, champion_model, unseen.frame, dataset.playbook)
        own = assess(challenger_model, unseen.frame, mode=challenger_model.mode)
        step.result = unseen.line
    checks = check_challenger(
        challenger_model,
        own,
        comparison,
        unseen.frame,
        margin_currency=margin_currency,
        champion_mode=champion_model.mode,
        retrained=retrained,
    )
    return Verdict(challenger, champion, checks, comparison, dataset)


def _require_more_decisions(challenger: Registered, champion: Registered) -> None:
    """Refuse to call a challenger retrained that did not learn by the champion's playbook from more decisions.

    More of them must have been there, and more must have taught: of the same ones a draw lets now a few more teach,
    now a few less, and of more ones fewer teach where more are held out.
    """
    new, old = (registry.parameters(each) for each in (challenger, champion))
    counts = [(int(new.get(name, 0)), int(old.get(name, 0))) for name in ("n_training", "n_contacts")]
    # a run of before these were logged does not show it
    if new.get("playbook") != old.get("playbook") or not all(more > fewer > 0 for more, fewer in counts):
        raise InputError(
            f"model {challenger.title}: learnt from {_learnt_from(new)}, the champion {champion.title} from "
            f"{_learnt_from(old)}: it is no retraining on more of them; leave --retrained out"
        )


def _learnt_from(told: dict[str, str]) -> str:
    """How many decisions taught, for people."""
    if not {"n_training", "n_contacts"} <= set(told):
        return "decisions of which its run does not say how many there were"
    return f"{int(told['n_training']):,} of {int(told['n_contacts']):,} decisions"


def standing_grant(name: str, dataset: Dataset, source: LedgerSource) -> PolicyMode:
    """What held-out people granted to the champion, if it learnt from fewer decisions of the same ledger.

    A model that learns from more of them by the same playbook need not be granted it anew; see `granting.grant`.
    ``nobody`` where there is no such champion: what other people granted, as of a simulated program, says nothing here,
    nor that contact paid when it cost something else.
    """
    standing = registry.champion_version(name)
    if standing is None:
        return "nobody"
    told = registry.parameters(registry.find(name, standing))
    fewer = int(told.get("n_contacts", len(dataset.contacts))) < len(dataset.contacts)
    if not (fewer and told.get("playbook") == dataset.playbook.name and source.is_that_of(told)):
        return "nobody"
    champion, _ = registry.load(name, standing)
    return mode_of(told["mode"]) if valued_alike(champion.playbook, dataset.playbook) else "nobody"


def _source_of(challenger: Registered, playbook: Playbook, ledger: str | None) -> Source | LedgerSource:
    source = source_of(registry.parameters(challenger), playbook, ledger)
    if source is None:
        raise InputError(f"model {challenger.title}: its run names no data; say with --data on which to judge it")
    return source


def promote(ledger: Ledger, verdict: Verdict, *, who: str, why: str, forced: bool) -> None:
    """Make the challenger the champion, with a row in the ledger and tags on the version; both or neither.

    Raises
    ------
    JobError
        Somebody else was faster, or MLflow or the ledger does not answer.
    """
    _move(
        ledger,
        verdict.challenger.name,
        from_version=verdict.champion.version if verdict.champion else None,
        to_version=verdict.challenger.version,
        kind=FORCED if forced else PROMOTION,
        who=who,
        why=why,
        checks=[check.to_json() for check in verdict.checks],
    )


def roll_back(ledger: Ledger, model: str | None, *, who: str, why: str) -> tuple[Registered, Registered]:
    """Give the champion's alias back to the version that had it before; the one it was taken from and the new one.

    Raises
    ------
    InputError
        The ledger knows of no champion before this one.
    JobError
        MLflow or the ledger does not answer.
    """
    champion = registry.find(model, registry.CHAMPION)
    earlier = previous_version(ledger, champion)
    if earlier is None:
        raise InputError(
            f"model {champion.title}: the ledger {ledger.name} holds no promotion that put it in another version's "
            "place, so there is nothing to roll back to; promote a version by its number instead"
        )
    target = registry.find(champion.name, earlier)
    _move(ledger, champion.name, from_version=champion.version, to_version=earlier, kind=ROLLBACK, who=who, why=why)
    return champion, target


def previous_version(ledger: Ledger, champion: Registered) -> str | None:
    """The version whose place the champion took when it was last promoted; rollbacks do not count."""
    made = [
        row["from_version"]
        for row in ledger.promotions(champion.name)
        if row["to_version"] == champion.version and row["kind"] != ROLLBACK
    ]
    return made[-1] if made else None


def _move(
    ledger: Ledger,
    model: str,
    *,
    from_version: str | None,
    to_version: str,
    kind: str,
    who: str,
    why: str,
    checks: list[dict[str, object]] | None = None,
) -> None:
    tags = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": who, "from": from_version or "", "why": why}
    tags = {f"champion_{key}": value for key, value in {**tags, "kind": kind}.items()}
    with ledger.promotion(
        who=who, model=model, from_version=from_version, to_version=to_version, why=why, kind=kind, checks=checks
    ):
        registry.make_champion(model, to_version, instead_of=from_version, tags=tags)
