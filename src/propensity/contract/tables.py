"""The three tables: their columns, kinds, units and meanings."""

from __future__ import annotations

from dataclasses import dataclass

from propensity.contract.kinds import Kind

CONTROL = "control"
"""The label of the action that is no contact."""

OUTCOME_TYPES = (
    "sent",
    "delivered",
    "opened",
    "clicked",
    "bounced",
    "unsubscribed",
    "complained",
    "reactivated",
    "purchased",
    "churned",
    "cart_abandoned",
    "excluded",
)
SHOW_THAT_IT_WAS_SENT = ("sent", "delivered", "opened", "clicked", "bounced")
"""Types of events that show that the decision they name was carried out."""
PROBABILITY_PREFIX = "probability_"
"""``contacts`` may carry one column an action with the logged probability of each, e.g. ``probability_mens_email``."""

CONSENT_PREFIX = "consent_"
"""``customers`` carry one such column a channel that needs consent, e.g. ``consent_email``."""


@dataclass(frozen=True)
class Column:
    """One column of a contract table.

    ``required`` columns must be there; ``nullable`` ones may have missing values. ``at_least``, ``above`` and
    ``at_most`` bound a number; ``choices`` limit a text; ``unit`` and ``meaning`` are for people.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    required: bool = True
    nullable: bool = False
    unique: bool = False
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    choices: tuple[str, ...] | None = None


REASONS = (
    "price",
    "product_gap",
    "competitive_switch",
    "internal_change",
    "no_longer_needed",
    "service_problem",
    "fit_problem",
    "disengaged",
)
RELATIONSHIPS = ("amicable", "neutral", "after_service_failure")

PRIVATE = ("exit_answer",)
"""Columns of the customers table that may hold personal data in people's own words. They are no feature, meet no
condition, and are in no decision, no message and no ledger."""

CUSTOMERS = (
    Column("customer_id", "text", "the company's own key of the person or account"),
    Column("as_of", "time", "when the row was true; no feature may be younger", unit="UTC"),
    Column("churned_at", "time", "when the relationship ended or the last activity was", unit="UTC"),
    Column("reason", "text", "stated reason for churn", required=False, nullable=True, choices=REASONS),
    Column(
        "exit_answer",
        "text",
        "what they wrote when they left, in their own words; the reason is read from it, and it is kept in no ledger",
        required=False,
        nullable=True,
    ),
    Column("relationship", "text", "how they parted", required=False, nullable=True, choices=RELATIONSHIPS),
    Column("competitor", "text", "the competitor they went to, if known", required=False, nullable=True),
    Column(
        "annual_value",
        "number",
        "revenue of their last active year",
        unit="currency a year",
        required=False,
        nullable=True,
        at_least=0,
    ),
    Column("account_access", "flag", "can the account still log in", required=False, nullable=True),
    Column("owner", "text", "the person who owned the account", required=False, nullable=True),
    Column("time_zone", "text", "where they live, such as Europe/Berlin", required=False, nullable=True),
)
CONTACTS = (
    Column("decision_id", "text", "key of the decision", unique=True),
    Column("customer_id", "text", "whom it was about"),
    Column("decided_at", "time", "when it was decided", unit="UTC"),
    Column("campaign", "text", "the campaign it belonged to"),
    Column("action", "text", "what was done; `control` is a holdout"),
    Column(
        "probability",
        "number",
        "chance of the served action under the rule that drew it, after all filters",
        unit="share",
        above=0,
        at_most=1,
    ),
    Column("cost", "number", "what the contact cost", unit="currency", at_least=0),
)
OUTCOMES = (
    Column("event_id", "text", "key of the event within its source"),
    Column("source", "text", "the system that reported it"),
    Column("customer_id", "text", "whom it happened to"),
    Column("decision_id", "text", "the decision it answers, if known", required=False, nullable=True),
    Column("at", "time", "when it happened", unit="UTC"),
    Column("type", "text", "what happened; excluded: taken off all lists by the company", choices=OUTCOME_TYPES),
    Column(
        "amount",
        "number",
        "money that came in (negative: refund)",
        unit="currency",
        required=False,
        nullable=True,
    ),
)
TABLES: dict[str, tuple[Column, ...]] = {
    "customers": CUSTOMERS,
    "contacts": CONTACTS,
    "outcomes": OUTCOMES,
}


def data_dictionary() -> str:
    """The tables as a Markdown page."""
    lines = [
        "# Data dictionary",
        "",
        "Written by `propensity data dictionary`; the source is `src/propensity/contract/tables.py`.",
    ]
    for table, columns in TABLES.items():
        lines += ["", f"## {table}", "", "| column | kind | unit | may be missing | meaning |", "|---|---|---|---|---|"]
        for c in columns:
            missing = "column" if not c.required else ("value" if c.nullable else "no")
            meaning = c.meaning + (f" ({', '.join(c.choices)})" if c.choices else "")
            lines.append(f"| `{c.name}` | {c.kind} | {c.unit} | {missing} | {meaning} |")
    lines += [
        "",
        "`customers` also holds one flag `consent_<channel>` for each channel that needs consent, and the feature",
        "columns that the playbook names. `contacts` may hold one column `probability_<action>` an action, where the",
        "probabilities differ between people.",
        "",
    ]
    return "\n".join(lines)
