"""Whatever stands in a body, the service answers with what is wrong, and goes on."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from edge_app import application
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from propensity_serving.answering import BUDGET_VARIABLE

pytestmark = pytest.mark.slow

BODIES = int(os.environ.get("PROPENSITY_TEST_BODIES", "400"))
"""For all routes together; `benchmarks/serving/kill.py` sends more."""
ROUTES = {
    ("POST", "/v1/decisions"): {
        "campaign": "c",
        "at": "2026-03-05T09:00:00Z",
        "customer": {
            "customer_id": "a",
            "churned_at": "2025-12-15T00:00:00Z",
            "consent_email": True,
            "annual_value": 1,
        },
        "dry_run": False,
        "explain": True,
    },
    ("POST", "/v1/outcomes"): {
        "specversion": "1.0",
        "id": "1",
        "source": "s",
        "type": "purchased",
        "subject": "a",
        "time": "2026-03-05T09:00:00Z",
        "data": {"customer_id": "a", "decision_id": "d", "amount": 1.5, "currency": "USD"},
    },
    ("POST", "/v1/suppressions"): {
        "customer_id": "a",
        "reason": "requested",
        "channel": "email",
        "at": "2026-03-05T09:00:00Z",
    },
    ("PUT", "/v1/customers"): {
        "customer_id": "a",
        "churned_at": "2025-12-15T00:00:00Z",
        "as_of": "2026-01-01T00:00:00Z",
        "annual_value": 310,
        "reason": "price",
        "consent_email": True,
    },
}
INJECTED = (
    "'; DROP TABLE decisions; --",
    "a' OR '1'='1",
    "${jndi:ldap://x/y}",
    "{{7*7}}",
    "%s%n%x",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "=HYPERLINK(1)",
    "\r\nset-cookie: a=b",
    "\u202e\u200b\ufeff",
    "\x00",
    "\x7f",
    "nan",
    "Infinity",
    "1e999",
    "-0",
    "true",
    "null",
    "2026-02-30T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+23:59",
    "2026-03-05T09:00:00",
    "e\u0301" * 150,
    "x" * 100_000,
)
NUMBERS = (0, -1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 1e308, -1e308, 5e-324, float("nan"), float("inf"))
SURROGATES = ("\ud800", "a\udfff", "\udc00\ud800")
RAW = (
    b"",
    b"{",
    b"\xff\xfe{}",
    b'{"campaign": "\xc3\x28"}',
    b'{"a": 1}{"b": 2}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"[" * 500 + b"]" * 500,
    b"1" * 5_000,
    b'"' + b"\\u0000" * 100 + b'"',
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=50)
    | st.sampled_from([*INJECTED, *NUMBERS, *SURROGATES]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def spoilt(draw: Any, sound: dict[str, Any]) -> Any:
    """A sound body with some of its values exchanged, left out, added to, nested deep or put into a list."""
    body = json.loads(json.dumps(sound))
    for _ in range(draw(st.integers(1, 3))):
        place = body
        nested = [name for name, value in body.items() if isinstance(value, dict)]
        if nested and draw(st.booleans()):
            place = body[draw(st.sampled_from(nested))]
        name = draw(st.sampled_from([*place, "unknown", "_sa_instance_state", "__class__"]) | st.text(max_size=10))
        if name in place and draw(st.integers(0, 4)) == 0:
            del place[name]
        else:
            place[name] = draw(values)
    if draw(st.integers(0, 9)) == 0:
        for _ in range(draw(st.sampled_from([5, 100, 900]))):
            body = {"customer": body}
    return [body, sound, draw(values)] if draw(st.integers(0, 4)) == 0 else body


def bytes_of(sound: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Bodies as they are sent: spoilt ones, any values, and what is no JSON or no UTF-8."""
    as_json = (spoilt(sound) | values).flatmap(
        lambda body: st.sampled_from(
            [json.dumps(body).encode(), json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")]
        )
    )
    return as_json | st.sampled_from(RAW) | st.binary(max_size=100)


def per_item(content: dict[str, Any]) -> bool:
    """Whether each item of an answer says what became of it."""
    items = content.get("results", content.get("decisions"))
    return isinstance(items, list) and all(("error" in item) == (item["status"] == "rejected") for item in items)


@pytest.fixture(scope="module")
def client(small_model, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(BUDGET_VARIABLE, "60")
        with (
            application(small_model, tmp_path_factory.mktemp("bodies")) as (app, headers, state),
            TestClient(app, headers=headers) as client,
        ):
            yield client
            assert state.ready


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)
def test_half_a_character_is_no_text_whether_escaped_or_not(client, method, path):
    for name in ROUTES[(method, path)]:
        body = {**ROUTES[(method, path)], name: SURROGATES[1]}
        raw = json.dumps(body, ensure_ascii=False).encode(errors="surrogatepass")
        for content in (json.dumps(body).encode(), raw):
            response = client.request(method, path, content=content, headers={"content-type": "application/json"})
            assert response.status_code == 400, (name, response.text)


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=str)
def test_no_body_is_answered_by_a_fault(client, method, path):
    sound = ROUTES[(method, path)]
    statuses = set()

    @settings(
        max_examples=BODIES // len(ROUTES),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(body=bytes_of(sound))
    def send(body: bytes) -> None:
        response = client.request(method, path, content=body, headers={"content-type": "application/json"})
        statuses.add(response.status_code)
        if response.is_success:
            assert per_item(response.json()), response.text
        else:
            assert 400 <= response.status_code < 500, response.text
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["status"] == response.status_code

    send()
    assert statuses >= {400, 422}
    assert statuses & {200, 202}
    assert client.request(method, path, json=sound).is_success
