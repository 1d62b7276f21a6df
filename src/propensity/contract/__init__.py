"""The tables that everything else is built on: their columns, kinds, units and checks.

Three tables cross the threshold of the house: ``customers`` (one row a person as of a date), ``contacts`` (one row a
decision that was carried out or held out) and ``outcomes`` (events). `check` turns whatever a file held into a table
with the promised kinds, or says in full what is wrong with it: table, column, number of rows, what was expected and
what was found. Nothing is dropped silently: bad rows come back beside the good ones, each with its reasons.
"""

from propensity.contract.checking import (
    MEND,
    Checked,
    Read,
    check,
    check_arms,
    check_references,
    close_name,
    read_columns,
    time_zone_names,
)
from propensity.contract.faults import ContractError, Violation, bad_rows, faults_in, told_by_row
from propensity.contract.kinds import (
    TEXT,
    Kind,
    array_of,
    as_flag,
    as_number,
    as_text,
    one_flag,
    one_text,
    plain,
    unread,
)
from propensity.contract.tables import (
    CONSENT_PREFIX,
    CONTACTS,
    CONTROL,
    CUSTOMERS,
    OUTCOME_TYPES,
    OUTCOMES,
    PRIVATE,
    PROBABILITY_PREFIX,
    REASONS,
    RELATIONSHIPS,
    SHOW_THAT_IT_WAS_SENT,
    TABLES,
    Column,
    data_dictionary,
)

__all__ = [
    "CONSENT_PREFIX",
    "CONTACTS",
    "CONTROL",
    "CUSTOMERS",
    "MEND",
    "OUTCOMES",
    "OUTCOME_TYPES",
    "PRIVATE",
    "PROBABILITY_PREFIX",
    "REASONS",
    "RELATIONSHIPS",
    "SHOW_THAT_IT_WAS_SENT",
    "TABLES",
    "TEXT",
    "Checked",
    "Column",
    "ContractError",
    "Kind",
    "Read",
    "Violation",
    "array_of",
    "as_flag",
    "as_number",
    "as_text",
    "bad_rows",
    "check",
    "check_arms",
    "check_references",
    "close_name",
    "data_dictionary",
    "faults_in",
    "one_flag",
    "one_text",
    "plain",
    "read_columns",
    "time_zone_names",
    "told_by_row",
    "unread",
]
