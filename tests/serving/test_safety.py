"""The real server: nothing that a caller sends appears in its log or metrics, and every error is a problem."""

from __future__ import annotations

import json
import re
import socket
import time

import httpx
import pytest
from playwright.sync_api import sync_playwright
from real_server import running, stop
from test_webhooks import signature, text

from propensity.ledger import Ledger, approve_playbook
from propensity.ledger.keys import create_key, revoke_keys
from propensity_serving.bodies import MAX_BODY_BYTES

EMAIL = "anna.secret@example.org"
ID = "kunde-4711-geheim"
SECRET = bytes(range(32))
PERSON = {"customer_id": ID, "churned_at": "2025-12-15T00:00:00Z", "consent_email": True, "account_owner": EMAIL}
LINE = {"time", "level", "logger", "event"}


@pytest.fixture
def ledger(tmp_path, email_playbook):
    made = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}").create()
    approve_playbook(made, email_playbook, who="Ann")
    yield made
    made.close()


@pytest.fixture
def keys(ledger) -> dict[str, str]:
    return {scope: create_key(ledger, name=scope, scopes=[scope])[0] for scope in ("decide", "read", "admin")}


def problem(response: httpx.Response, status: int) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert "x-request-id" in response.headers


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def ask_with_personal_data_everywhere(client: httpx.Client, keys: dict[str, str]) -> None:
    asked = {"campaign": f"c-{EMAIL}", "at": "2026-03-05T09:00:00Z", "customer": PERSON}
    decide, admin = bearer(keys["decide"]), bearer(keys["admin"])
    assert client.post("/v1/decisions", json=asked, headers=decide).status_code == 200
    assert client.post(f"/v1/decisions?for={EMAIL}", json=asked, headers=decide).status_code == 200
    for body in (f'{{"campaign": "{EMAIL}"', json.dumps({**asked, EMAIL: ID}), f'"{EMAIL}"', EMAIL.encode() + b"\xff"):
        response = client.post("/v1/decisions", content=body, headers=decide)
        assert response.status_code in (400, 422)
    wrong = {**asked, "customer": {**PERSON, "customer_id": f"{ID}-2", "churned_at": EMAIL}}
    assert client.post("/v1/decisions", json=wrong, headers=decide).json()["decisions"][0]["status"] == "rejected"
    for path in (f"/v1/customers/{ID}", f"/v1/customers/{EMAIL}", f"/{EMAIL}", f"/experiments/{EMAIL}", f"/v1/x/{ID}"):
        for method in ("GET", "DELETE", "PUT"):
            for headers in ({}, decide, admin):
                assert client.request(method, path, headers=headers).status_code in (200, 204, 401, 403, 404, 405)
    for name in (
        "x-request-id",
        "user-agent",
        "x-api-key",
        "authorization",
        "cookie",
        "referer",
        EMAIL.replace("@", "-"),
    ):
        client.get("/v1/models", headers={name: EMAIL})
    client.request("ANNASECRET", "/v1/models", headers=admin)
    # what is no HTTP at all
    with socket.create_connection((client.base_url.host, client.base_url.port), timeout=10) as raw:
        raw.sendall(f"GET /{EMAIL} {EMAIL}\r\n\r\n".encode())
        raw.recv(1000)


def test_nothing_of_a_customer_is_in_the_log_or_the_metrics_and_every_error_is_a_problem(
    mlflow_of_trained, ledger, keys, tmp_path
):
    secrets = tmp_path / "secrets"
    secrets.write_text(text(SECRET))
    with running(tmp_path, ledger.name, "--webhook-secret-file", str(secrets)) as (url, log, process):
        with httpx.Client(base_url=url, timeout=20, trust_env=False) as client:
            ask_with_personal_data_everywhere(client, keys)
            admin = bearer(keys["admin"])

            # BentoML's own paths and errors
            for path in ("/metrics", "/docs.json", "/schema.json", "/openapi.json", "/nothing"):
                problem(client.get(path), 401)
            assert client.get("/docs.json", headers=bearer(keys["read"])).status_code == 200
            problem(client.get("/nothing", headers=admin), 404)
            problem(client.post("/livez", headers=admin), 405)
            problem(client.get("/v1/decisions", headers=admin), 405)
            metrics = client.get("/metrics", headers=bearer(keys["read"])).raise_for_status().text

            # limits
            large = b" " * (MAX_BODY_BYTES + 1)
            problem(client.post("/v1/decisions", content=large, headers=bearer(keys["decide"])), 413)
            chunks = (large[i : i + 65_536] for i in range(0, len(large), 65_536))
            problem(client.post("/v1/decisions", content=chunks, headers=bearer(keys["decide"])), 413)
            problem(slowly(url, keys["decide"]), 408)

            # a webhook without a key
            stamp = int(time.time())
            event = {"specversion": "1.0", "id": "1", "source": "mail", "type": "opened", "subject": ID}
            body = json.dumps({**event, "time": "2026-03-05T09:00:00Z"}).encode()
            signed = {
                "webhook-id": "m",
                "webhook-timestamp": str(stamp),
                "content-type": "application/cloudevents+json",
            }
            for secret, status in ((SECRET, 202), (bytes(32), 401)):
                signed["webhook-signature"] = signature(secret, "m", stamp, body)
                assert client.post("/v1/outcomes", content=body, headers=signed).status_code == status

            # revoked: refused within five seconds
            revoke_keys(ledger, "read")
            time.sleep(5)
            problem(client.get("/v1/models", headers=bearer(keys["read"])), 401)
        stop(process)
    assert "/v1/decisions" in metrics
    check_log(log.read_text(), keys)
    # no piece that ids of requests, which are hexadecimal digits, could hold by chance
    for secret in (EMAIL, ID, "anna", "kunde", "geheim", "ANNASECRET", *keys.values()):
        assert secret not in metrics
        assert secret not in log.read_text()


def slowly(url: str, key: str) -> httpx.Response:
    """A body that is announced and does not come."""
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port), timeout=20) as raw:
        head = [
            "POST /v1/decisions HTTP/1.1",
            f"Host: {address.host}",
            f"Authorization: Bearer {key}",
            "Content-Length: 9",
        ]
        raw.sendall("\r\n".join([*head, "", ""]).encode())
        answer = b""
        while chunk := raw.recv(65_536):
            answer += chunk
    head_bytes, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head_bytes.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert headers["connection"] == "close"
    return httpx.Response(int(first.split()[1]), headers=headers, content=body)


def check_log(said: str, keys: dict[str, str]) -> None:
    """Every line of the workers is JSON; the requests' tell what they should."""
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    # the first two lines are those of the command and of BentoML's parent process
    others = [line for line in said.splitlines() if not line.startswith("{")]
    assert all(re.match(r"Serving |\S+ \[INFO\] \[cli\] Starting production", line) for line in others), others
    assert all(set(line) >= LINE for line in lines)
    requests = [line for line in lines if line["event"] == "request"]
    decided = requests[[r["route"] for r in requests].index("/v1/decisions")]
    assert (decided["method"], decided["status"]) == ("POST", 200)
    assert decided["key"] == keys["decide"].split("_")[1]
    assert decided["ms"] > 0
    assert len(decided["request_id"]) == 32
    assert {r["route"] for r in requests} >= {
        "/v1/customers/{customer}",
        "/experiments/{page}",
        "{unknown}",
        "/metrics",
    }
    # those that fail are told: the server was asked before it was ready
    assert not {r["route"] for r in requests if r["status"] == 200} & {"/livez", "/readyz"}


def test_for_development_keys_can_be_left_out_and_the_log_says_so(mlflow_of_trained, ledger, tmp_path):
    with running(tmp_path, ledger.name, "--no-keys") as (url, log, process):
        with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
            assert client.get("/v1/models").status_code == 200
            problem(client.get("/v1/models", headers={"host": "evil.example"}), 421)
            problem(client.get("/nothing"), 404)
        stop(process)
    (warning,) = [json.loads(line) for line in log.read_text().splitlines() if '"warning"' in line]
    assert warning["event"].startswith("no keys are asked for")


@pytest.mark.browser
def test_a_browser_opens_the_pages_with_a_key_as_password_and_their_policies_hold(
    mlflow_of_trained, ledger, keys, tmp_path, chromium
):
    wrong: list[str] = []
    with running(tmp_path, ledger.name) as (url, _, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(http_credentials={"username": "", "password": keys["read"]})
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("request", lambda asked: None if asked.url.startswith((url, "data:")) else wrong.append(asked.url))
        page.goto(url)
        page.locator(".opblock-summary-path", has_text="decisions").first.wait_for(timeout=10_000)
        page.get_by_role("link", name="Experiments").click()
        heading = page.get_by_role("heading", name="Experiments", exact=True)
        heading.wait_for(timeout=10_000)
        assert heading.evaluate("e => getComputedStyle(e).color") != "rgb(0, 0, 0)"
        browser.close()
        stop(process)
    assert wrong == []
