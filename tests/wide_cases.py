"""A wide file of people and the mapping that reads it, for tests."""

import pandas as pd

from propensity.mapping import Mapping

CONTENT = {
    "name": "shop",
    "title": "Shop",
    "playbook": "hillstrom",
    "campaign": "spring",
    "decided_at": "2026-03-01T00:00:00Z",
    "customers": {
        "customer_id": "id",
        "churned_at": {"months_before": "recency"},
        "annual_value": "history",
        "consent_email": {"constant": True},
    },
    "features": {
        "months_since_purchase": "recency",
        "bought_mens": "mens",
        "bought_womens": "womens",
        "is_new": "newbie",
        "area": {"column": "zip", "labels": {"Surburban": "Suburban"}},
        "purchase_channel": "channel",
    },
    "contacts": {
        "action": {"column": "arm", "labels": {"0": "control", "1": "mens_email", "2": "womens_email"}},
        "probability": {"by_action": {"control": 0.5, "mens_email": 0.25, "womens_email": 0.25}},
    },
    "outcomes": [
        {"type": "reactivated", "flag": "visit"},
        {"type": "purchased", "flag": "bought", "amount": "spend"},
    ],
}
MAPPING = Mapping.model_validate(CONTENT)


def wide(n=6, **columns):
    """People of three arms in turn; the second and the last of six visit, the last one buys."""
    came = [int(i % 6 in (1, 5)) for i in range(n)]
    bought = [int(i % 6 == 5) for i in range(n)]
    return pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(n)],
            "recency": [1 + i % 12 for i in range(n)],
            "history": [10.0 * i for i in range(n)],
            "mens": 1,
            "womens": 0,
            "newbie": 0,
            "zip": ["Surburban" if i % 2 else "Rural" for i in range(n)],
            "channel": "Web",
            "arm": [i % 3 for i in range(n)],
            "visit": came,
            "bought": bought,
            "spend": [20.0 * b for b in bought],
        }
    ).assign(**columns)


def changed(**parts):
    return Mapping.model_validate({**CONTENT, **parts})
