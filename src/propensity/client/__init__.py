"""The typed client of the service, for campaign tools and scripts. It is light: of this package it needs `errors` only.

>>> from propensity.client import Client, Outcome  # doctest: +SKIP
>>> with Client("https://propensity.example.com") as client:  # the key: PROPENSITY_API_KEY
...     decision = client.decide({"customer_id": "42", "churned_at": "2026-01-20"}, campaign="spring")
...     if decision.send:
...         my_mailer.send(decision.action)
...         client.report([Outcome("sent", "42", id="m-1", source="my-mailer", decision_id=decision.decision_id)])
"""

from propensity.client.api import KEY_VARIABLE, MAX_ITEMS, Client
from propensity.client.calling import ServiceError
from propensity.client.records import Decision, Held, Holdout, Item, Outcome, Receipt, Serving

__all__ = [
    "KEY_VARIABLE",
    "MAX_ITEMS",
    "Client",
    "Decision",
    "Held",
    "Holdout",
    "Item",
    "Outcome",
    "Receipt",
    "ServiceError",
    "Serving",
]
