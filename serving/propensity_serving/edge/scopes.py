"""Which scope each route needs. What is not in the table needs ``admin``: whoever adds a route and forgets it here
keeps people out rather than in."""

from __future__ import annotations

from dataclasses import dataclass

from propensity.ledger.keys import ADMIN, DECIDE, READ, REPORT

OPEN = "open"
"""No key is needed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is known of a request before anything of it is looked at.

    Attributes
    ----------
    template : str
        Of its path; the path itself may hold a customer's id and appears in no log and no metric.
    scope : str
        That a key must have.
    """

    template: str
    scope: str


RULES = (
    ("GET", "/livez", OPEN),
    ("GET", "/readyz", OPEN),
    ("GET", "/healthz", OPEN),
    ("GET", "/", OPEN),
    ("GET", "/static_content/{file}", OPEN),
    ("POST", "/v1/decisions", DECIDE),
    ("GET", "/v1/decisions/{decision}", DECIDE),
    ("GET", "/v1/holdouts/{holdout}", DECIDE),
    ("POST", "/v1/outcomes", REPORT),
    ("POST", "/v1/suppressions", REPORT),
    ("PUT", "/v1/customers", REPORT),
    ("GET", "/v1/models", READ),
    ("GET", "/experiments", READ),
    ("GET", "/experiments/{page}", READ),
    ("GET", "/metrics", READ),
    ("GET", "/openapi.json", READ),
    ("GET", "/docs.json", READ),
    ("GET", "/schema.json", READ),
    ("GET", "/v1/customers/{customer}", ADMIN),
    ("DELETE", "/v1/customers/{customer}", ADMIN),
)
"""Method, path and scope; what stands in braces is all the rest of a path. HEAD is as GET."""

UNKNOWN = Rule("{unknown}", ADMIN)
"""For everything else, whether there is such a route or not."""

_EXACT = {(method, path): Rule(path, scope) for method, path, scope in RULES if "{" not in path}
_PREFIXES = [(method, path.partition("{")[0], Rule(path, scope)) for method, path, scope in RULES if "{" in path]


def rule_of(method: str, path: str) -> Rule:
    """The rule for a request."""
    if method == "HEAD":
        method = "GET"
    exact = _EXACT.get((method, path))
    if exact is not None:
        return exact
    for of, prefix, rule in _PREFIXES:
        if of == method and path.startswith(prefix):
            return rule
    return UNKNOWN
