"""Who may pass, and what every answer has: the service's edge around the real application, without a server."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import anyio
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from test_webhooks import signature

from propensity.ledger import Ledger, schema
from propensity.ledger.keys import SCOPES, create_key, revoke_keys, rotate_key
from propensity_serving.app import build_app
from propensity_serving.bodies import MAX_BODY_BYTES
from propensity_serving.edge import Keyring, guarded, keyring, limits
from propensity_serving.front import POLICY, FrontPage
from propensity_serving.state import ServingState

AT = "2026-03-05T09:00:00Z"
PERSON = {"customer_id": "anna", "churned_at": "2025-12-15T00:00:00Z", "consent_email": True}
ASKED = {"campaign": "c", "at": AT, "customer": PERSON}
SECRET = bytes(range(32))

OPEN = {("GET", "/livez"), ("GET", "/readyz"), ("GET", "/healthz"), ("GET", "/"), ("GET", "/static_content/x")}
NEEDED = {
    ("POST", "/v1/decisions"): "decide",
    ("GET", "/v1/decisions/x"): "decide",
    ("GET", "/v1/decisions/x%2Fy%0Az"): "decide",
    ("GET", "/v1/holdouts/x"): "decide",
    ("POST", "/v1/outcomes"): "report",
    ("POST", "/v1/suppressions"): "report",
    ("PUT", "/v1/customers"): "report",
    ("GET", "/v1/models"): "read",
    ("GET", "/experiments"): "read",
    ("GET", "/experiments/"): "read",
    ("GET", "/experiments/x"): "read",
    ("GET", "/metrics"): "read",
    ("GET", "/openapi.json"): "read",
    ("GET", "/docs.json"): "read",
    ("GET", "/schema.json"): "read",
}
"""All else needs admin."""


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()
    yield made
    made.close()


@pytest.fixture
def state(small_model, ledger):
    return ServingState(model=small_model, ledger=ledger, serving_since=datetime.now(UTC))


@pytest.fixture
def keys(ledger) -> dict[str, str]:
    """A key for each scope."""
    return {scope: create_key(ledger, name=scope, scopes=[scope])[0] for scope in SCOPES}


@pytest.fixture
def client(state, keys):
    """The application behind its edge; a webhook's secret is known."""
    app = guarded(FrontPage(build_app(state)), Keyring(lambda: state.required()[1]), [SECRET])
    with TestClient(app, follow_redirects=False) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def basic(key: str, user: str = "ann") -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()}


def problem(response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content = response.json()
    assert (set(content), content["status"]) == ({"type", "status", "title", "detail"}, status)
    return content["detail"]


# ------------------------------------------------------------------------------------------------------ who may pass


LIST_ROUTES = """
import json, re
import bentoml
from starlette.routing import Mount, Route
from propensity_serving.service import PropensityService

def walk(routes, before):
    for route in routes:
        if isinstance(route, Route):
            path = before + re.sub("{.*?}", "x", route.path)
            yield from ((method, path) for method in (route.methods or {"GET"}) - {"HEAD"})
        elif isinstance(route, Mount):
            yield from walk(route.routes or [Route("/x", print)], before + route.path)

PropensityService.furnish()
print(json.dumps(sorted(set(walk(bentoml.Service.to_asgi(PropensityService).routes, "")))))
"""
"""In a process of its own: BentoML sets up its whole house when it is imported."""


def test_each_route_of_a_worker_is_for_its_scope_and_one_that_nobody_thought_of_for_admin(keys, ledger, tmp_path):
    done = subprocess.run([sys.executable, "-c", LIST_ROUTES], cwd=tmp_path, capture_output=True, text=True, check=True)
    served = {(method, path) for method, path in json.loads(done.stdout)}
    assert {("POST", "/v1/decisions"), ("GET", "/metrics"), ("GET", "/experiments/x"), *OPEN} <= served

    async def reached(scope, receive, send) -> None:
        await PlainTextResponse("reached")(scope, receive, send)

    client = TestClient(guarded(reached, Keyring(lambda: ledger)))
    for method, path in {*served, *NEEDED, ("GET", "/nothing"), ("PATCH", "/v1/models"), ("DELETE", "/v1/customers/x")}:
        statuses = {scope: client.request(method, path, headers=bearer(key)).status_code for scope, key in keys.items()}
        without = client.request(method, path).status_code
        if (method, path) in OPEN:
            assert (without, set(statuses.values())) == (200, {200}), path
        else:
            may = {NEEDED.get((method, path), "admin"), "admin"}
            assert without == 401, path
            assert statuses == {scope: 200 if scope in may else 403 for scope in SCOPES}, path


def test_a_route_that_is_added_without_a_scope_needs_admin(keys, ledger):
    app = Starlette(routes=[Route("/v1/new", lambda _: PlainTextResponse("new"))])
    client = TestClient(guarded(app, Keyring(lambda: ledger)))
    for scope, key in keys.items():
        assert client.get("/v1/new", headers=bearer(key)).status_code == (200 if scope == "admin" else 403)


@pytest.mark.parametrize(
    "path",
    ["//v1/decisions", "/v1/decisions/", "/v1/./decisions", "/V1/decisions", "/v1/decisions%2e", "/livez/", "/livez/x"],
)
def test_another_spelling_of_a_path_opens_nothing(client, keys, path):
    for method in ("GET", "POST"):
        assert client.request(method, path).status_code == 401
        assert client.request(method, path, headers=bearer(keys["report"])).status_code == 403


def test_a_caller_without_a_key_cannot_tell_what_there_is(client):
    answers = {
        (r.status_code, r.text, tuple(sorted((k, v) for k, v in r.headers.items() if k != "x-request-id")))
        for r in (
            client.get("/v1/customers/anna"),
            client.get("/v1/customers/nobody"),
            client.get("/nothing"),
            client.request("BREW", "/v1/decisions"),
            client.post("/v1/decisions", content=b"{"),
            client.post("/v1/decisions", json=ASKED),
            client.post("/v1/decisions", json=ASKED, headers=bearer("propensity_12345678_x")),
        )
    }
    assert len(answers) == 1


def test_a_browser_and_a_tool_are_asked_for_the_key(client):
    challenges = client.get("/experiments/").headers.get_list("www-authenticate")
    assert [c.split()[0] for c in challenges] == ["Bearer", "Basic"]
    assert 'realm="Propensity"' in challenges[1]


def test_the_key_may_come_in_three_ways(client, keys):
    key = keys["decide"]
    for headers in (bearer(key), {"authorization": f"bearer  {key}"}, {"x-api-key": key}, basic(key), basic(key, "")):
        assert client.post("/v1/decisions", json=ASKED, headers=headers).status_code == 200


def test_what_is_no_key_opens_nothing(client, keys):
    key = keys["admin"]
    brand, prefix, secret = key.split("_", 2)
    wrong = [key[:-1], key + "x", f"{brand}_{prefix}_", f"{brand}_{prefix[::-1]}_{secret}", secret, prefix, "", "ä"]
    for text in wrong:
        for headers in (bearer(text), {"x-api-key": text}, basic(text)):
            sent = {name: value.encode("latin-1") for name, value in headers.items()}
            assert client.get("/v1/models", headers=sent).status_code == 401
    for headers in (
        {"authorization": key},
        {"authorization": f"Token {key}"},
        {"authorization": "Basic !"},
        {"authorization": "Basic " + base64.b64encode(key.encode()).decode()},
        {"authorization": "Basic " + base64.b64encode(b"a:\xff").decode()},
        # the first that is sent counts
        {"authorization": "Bearer x", "x-api-key": key},
    ):
        assert client.get("/v1/models", headers=headers).status_code == 401


def test_a_key_of_another_row_with_the_same_hash_does_not_pass_for_it(client, keys, ledger):
    mixed = keys["read"].rsplit("_", 1)[0] + "_" + keys["admin"].split("_", 2)[2]
    assert client.get("/v1/models", headers=bearer(mixed)).status_code == 401


def test_without_the_scope_the_request_is_not_looked_at(client, keys, ledger):
    detail = problem(client.post("/v1/decisions", content=b"{", headers=bearer(keys["report"])), 403)
    assert detail == "this needs a key with the scope decide"
    assert ledger.decisions("c").empty


def test_revocation_and_new_keys_take_effect_within_five_seconds(client, keys, ledger, monkeypatch):
    assert keyring.FRESH_SECONDS <= 5
    monkeypatch.setattr(keyring, "FRESH_SECONDS", 0.4)
    key, _ = create_key(ledger, name="late", scopes=["read"])

    def until(status: int, headers: dict[str, str]) -> float:
        began = time.monotonic()
        while client.get("/v1/models", headers=headers).status_code != status:
            assert time.monotonic() - began < 5
            time.sleep(0.02)
        return time.monotonic() - began

    until(200, bearer(key))
    revoke_keys(ledger, "late")
    assert until(401, bearer(key)) < 1


def test_a_key_that_expires_between_two_looks_at_the_ledger_ends_in_time(client, ledger, monkeypatch):
    key, _ = create_key(ledger, name="short", scopes=["read"], lifetime=timedelta(seconds=1))
    assert client.get("/v1/models", headers=bearer(key)).status_code == 200
    monkeypatch.setattr(keyring, "FRESH_SECONDS", 1e9)
    time.sleep(1)
    assert client.get("/v1/models", headers=bearer(key)).status_code == 401


def test_both_keys_of_a_rotation_work(client, keys, ledger):
    new, *_ = rotate_key(ledger, "read", grace=timedelta(hours=1))
    for key in (keys["read"], new):
        assert client.get("/v1/models", headers=bearer(key)).status_code == 200


def test_the_ledger_is_not_asked_for_every_request(client, keys, ledger):
    queries: list[str] = []
    sa.event.listen(ledger.engine, "before_cursor_execute", lambda *given: queries.append(given[2]))
    for _ in range(20):
        assert client.get("/v1/models", headers=bearer(keys["read"])).status_code == 200
        assert client.get("/v1/models", headers=bearer("propensity_12345678_x")).status_code == 401
    assert len(queries) <= 2


def test_where_keys_cannot_be_checked_nobody_passes(client, keys, ledger):
    schema.api_keys.drop(ledger.engine)
    assert "try again" in problem(client.get("/v1/models", headers=bearer(keys["admin"])), 503)


def test_before_the_ledger_is_open_nobody_passes(keys):
    empty = ServingState()
    client = TestClient(guarded(build_app(empty), Keyring(lambda: empty.required()[1])))
    assert "try again" in problem(client.get("/v1/models", headers=bearer(keys["admin"])), 503)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "http://elsewhere"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[evil"}, 403),
        ({"origin": "http://testserver"}, 200),
    ],
)
def test_a_page_of_another_site_cannot_use_the_key_that_a_browser_remembers(client, keys, headers, status):
    asked = {**ASKED, "dry_run": True}
    assert client.post("/v1/decisions", json=asked, headers={**basic(keys["decide"]), **headers}).status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:3000", 200), ("localhost:3000", 200), ("[::1]:3000", 200), ("evil.example", 421), ("[x", 421)],
)
def test_without_keys_only_this_machine_is_answered(state, host, status):
    client = TestClient(guarded(build_app(state), None))
    answer = client.get("/v1/models", headers={"host": host})
    assert answer.status_code == status
    assert client.post(
        "/v1/decisions", json=ASKED, headers={"host": host, "sec-fetch-site": "cross-site"}
    ).status_code in (
        403,
        421,
    )


def test_there_is_no_other_door(client):
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/v1/decisions"):
        pass


# ---------------------------------------------------------------------------------------------------------- webhooks


@pytest.fixture
def reports(ledger, keys):
    """An application that takes outcomes, and says what reached it."""

    async def outcomes(request: Request) -> PlainTextResponse:
        return PlainTextResponse((await request.body()).decode())

    routes = [Route(path, outcomes, methods=["POST"]) for path in ("/v1/outcomes", "/v1/suppressions", "/v1/decisions")]
    with TestClient(guarded(Starlette(routes=routes), Keyring(lambda: ledger), [SECRET])) as client:
        yield client


def signed(body: bytes, *, secret: bytes = SECRET, off: int = 0) -> dict[str, str]:
    stamp = int(time.time()) + off
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature(secret, "msg_1", stamp, body),
    }


BODY = json.dumps({"events": ["Zoë"] * 1000}).encode()


def test_a_signed_webhook_may_report_without_a_key_and_its_body_arrives_whole(reports):
    for path in ("/v1/outcomes", "/v1/suppressions"):
        chunks = (BODY[i : i + 1000] for i in range(0, len(BODY), 1000))
        answer = reports.post(path, content=chunks, headers=signed(BODY))
        assert (answer.status_code, answer.content) == (200, BODY)


def test_a_signature_is_for_reports_only(reports):
    assert reports.post("/v1/decisions", content=BODY, headers=signed(BODY)).status_code == 401


def test_a_wrong_signature_is_refused_even_with_a_key(reports, keys):
    for headers in (
        signed(BODY, secret=bytes(32)),
        signed(BODY + b" "),
        signed(BODY, off=-301),
        signed(BODY, off=301),
        signed(BODY) | {"webhook-id": ""},
    ):
        assert problem(reports.post("/v1/outcomes", content=BODY, headers=headers), 401)
        assert problem(reports.post("/v1/outcomes", content=BODY, headers=headers | bearer(keys["report"])), 401)


def test_without_a_signature_a_key_is_needed(reports, keys):
    assert problem(reports.post("/v1/outcomes", content=BODY), 401)
    assert reports.post("/v1/outcomes", content=BODY, headers=bearer(keys["report"])).content == BODY


def test_where_no_secret_is_set_a_signature_means_nothing(ledger, keys):
    client = TestClient(guarded(Starlette(), Keyring(lambda: ledger)))
    assert problem(client.post("/v1/outcomes", content=BODY, headers=signed(BODY)), 401)
    assert problem(client.post("/v1/outcomes", content=BODY, headers=signed(BODY) | bearer(keys["report"])), 404)


def test_a_signed_body_has_the_same_limit(reports):
    body = b" " * (MAX_BODY_BYTES + 1)
    chunks = (body[i : i + 65_536] for i in range(0, len(body), 65_536))
    assert "send less" in problem(reports.post("/v1/outcomes", content=chunks, headers=signed(body)), 413)


# ---------------------------------------------------------------------------------------- limits, answers, headers


def test_a_body_that_is_announced_or_found_too_large_is_refused(client, keys):
    headers = bearer(keys["decide"])
    body = b" " * (MAX_BODY_BYTES + 1)
    assert "send less" in problem(client.post("/v1/decisions", content=body, headers=headers), 413)
    chunks = (body[i : i + 65_536] for i in range(0, len(body), 65_536))
    assert "send less" in problem(client.post("/v1/decisions", content=chunks, headers=headers), 413)


def test_an_address_or_headers_that_are_too_large_are_refused(client, keys):
    headers = bearer(keys["decide"])
    path = "/v1/holdouts/anna?campaign=c"
    assert client.get(path, headers={**headers, "x-more": "x" * 15_000}).status_code == 200
    assert "16384 bytes" in problem(client.get(path, headers={**headers, "x-more": "x" * 16_384}), 431)
    assert "16384 bytes" in problem(client.get(path + "x" * 16_384, headers=headers), 414)
    assert "16384 bytes" in problem(client.get(path, headers={f"x-{i}": "y" for i in range(2_000)}), 431)
    assert client.get("/v1/holdouts/" + "a" * 190 + "?campaign=c", headers=headers).status_code == 200


async def collect(app, receive, headers=()) -> tuple[int, dict[str, str], bytes]:
    """What an ASGI application answers to a POST."""
    sent: list[dict] = []

    async def send(message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/decisions",
        "raw_path": b"/v1/decisions",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"testserver"), *headers],
        "server": ("testserver", 80),
        "client": ("127.0.0.1", 1),
        "http_version": "1.1",
        "asgi": {"version": "3.0"},
    }
    with anyio.fail_after(10):
        await app(scope, receive, send)
    names = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], names, b"".join(m.get("body", b"") for m in sent[1:])


def test_a_body_that_does_not_end_is_refused_in_time(state, keys, monkeypatch):
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)

    async def drip():
        await anyio.sleep(0.05)
        return {"type": "http.request", "body": b" ", "more_body": True}

    app = guarded(build_app(state), Keyring(lambda: state.required()[1]))
    began = time.monotonic()
    status, headers, body = anyio.run(collect, app, drip, [(b"authorization", f"Bearer {keys['decide']}".encode())])
    assert 0.25 < time.monotonic() - began < 2
    assert (status, headers["connection"]) == (408, "close")
    assert "did not arrive" in json.loads(body)["detail"]


def test_every_answer_has_what_makes_it_safe(client, keys):
    for path, key in (("/v1/models", "read"), ("/v1/models", "report"), ("/experiments/", "read"), ("/", "read")):
        headers = client.get(path, headers=bearer(keys[key])).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert len(headers["x-request-id"]) == 32
    page = client.get("/experiments/", headers=bearer(keys["read"])).headers
    assert "default-src 'none'" in page["content-security-policy"]
    assert client.get("/").headers["content-security-policy"] == POLICY
    assert "content-security-policy" not in client.get("/v1/models", headers=bearer(keys["read"])).headers


@pytest.mark.parametrize("status", [400, 404, 405, 429, 500, 503, 504])
def test_an_error_of_another_form_becomes_a_problem_without_what_it_said(ledger, keys, status):
    async def plain(scope, receive, send) -> None:
        headers = {"retry-after": "3", "allow": "GET", "x-internal": "secret"}
        await PlainTextResponse("Traceback: secret", status, headers)(scope, receive, send)

    answer = TestClient(guarded(plain, Keyring(lambda: ledger))).get("/nothing", headers=bearer(keys["admin"]))
    assert problem(answer, status)
    assert "secret" not in answer.text + str(answer.headers)
    assert (answer.headers["retry-after"], answer.headers["allow"]) == ("3", "GET")


def test_a_problem_of_the_application_is_told_as_it_is(client, keys):
    detail = problem(client.post("/v1/decisions", content=b"{", headers=bearer(keys["decide"])), 400)
    assert detail == "the body is not valid JSON (it breaks at line 1, column 2)"
    assert "Experiments" in client.get("/experiments/", headers=basic(keys["read"])).text
    shown = client.get("/experiments/nothing", headers=basic(keys["read"]))
    assert (shown.status_code, shown.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_an_answer_that_fails_outside_of_the_application_is_a_problem(ledger, keys, caplog):
    async def broken(scope, receive, send) -> None:
        raise RuntimeError("anna@example.org")

    answer = TestClient(guarded(broken, Keyring(lambda: ledger))).get("/x", headers=bearer(keys["admin"]))
    assert "has been logged" in problem(answer, 500)
    assert "anna" not in caplog.text
    assert "RuntimeError" in caplog.text


SANE = ["0b51d0c8-6d0f-4b60-9a0c-2f1f6f9a1a11", "4bf92f3577b34da6a3ce929d0e0e4736", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]


@pytest.mark.parametrize("sane", SANE)
def test_a_callers_request_id_is_kept(client, sane):
    assert client.get("/nothing", headers={"x-request-id": sane}).headers["x-request-id"] == sane


@pytest.mark.parametrize(
    "other", ["anna@example.org", "anna", "00491701234567", "4111111111111111", "a" * 200, "", "x y"]
)
def test_what_could_be_somebodys_name_is_no_request_id(client, other):
    made = client.get("/nothing", headers={"x-request-id": other}).headers["x-request-id"]
    assert made != other
    assert len(made) == 32
