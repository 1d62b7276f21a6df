"""People of all kinds for the tests of segments."""

from __future__ import annotations

import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

from propensity import playbook
from propensity.contract import REASONS, RELATIONSHIPS
from propensity.segments import SegmentBuilder

AT = pd.Timestamp("2026-03-02T09:00Z")
DEFAULT = playbook.load("default")
quickly = settings(max_examples=30, deadline=None, derandomize=True)


def people(days=(100,), **columns):
    """Customers who left so many days ago."""
    n = max([len(days), *map(len, columns.values())])
    days = [days[0]] * n if len(days) == 1 else days
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(n)],
            "churned_at": pd.Series([AT - pd.Timedelta(days=d) for d in days], dtype="datetime64[us, UTC]"),
        }
    )
    return frame.assign(**columns)


def segment(name, customers, book=DEFAULT, **arguments):
    """What a builder that learnt from these customers says of them."""
    return SegmentBuilder.fit(customers, AT, book).transform(customers, AT, **arguments)[name].tolist()


def replies(**counts):
    return pd.DataFrame.from_dict(counts, orient="index", columns=["touches", "opened", "clicked"])


few_numbers = st.one_of(st.none(), st.integers(0, 4).map(float), st.floats(0, 1e4))
person = st.fixed_dictionaries(
    {
        "days": st.one_of(st.sampled_from([0, 30, 60, 180, 365, 548]), st.floats(0, 900)),
        "reason": st.sampled_from([None, *REASONS]),
        "relationship": st.sampled_from([None, *RELATIONSHIPS]),
        "competitor": st.sampled_from([None, "rival"]),
        "annual_value": few_numbers,
        "tenure_months": few_numbers,
        "orders_last_year": few_numbers,
        "logins_last_year": few_numbers,
        "trial_canceller": st.sampled_from([None, 0.0, 1.0]),
    }
)
absent = st.sets(st.sampled_from(["reason", "annual_value", "orders_last_year", "logins_last_year", "trial_canceller"]))


def wave_of(rows, without=()):
    frame = pd.DataFrame(rows)
    columns = {name: frame[name] for name in frame if name not in {"days", *without}}
    return people(days=frame["days"].tolist(), **columns)
