"""`propensity keys`, and what `propensity serve` says of keys."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from real_server import SERVE

from propensity.ledger import Ledger
from propensity.ledger.keys import api_keys, hash_key, usable_keys


@pytest.fixture
def url(tmp_path) -> str:
    made = f"sqlite:///{tmp_path / 'ledger.db'}"
    Ledger(made).create().close()
    return made


@pytest.fixture
def ledger(url):
    opened = Ledger(url).open()
    yield opened
    opened.close()


def create(propensity, url, *options: str) -> str:
    code, said, beside = propensity("keys", "create", "--ledger", url, *options)
    assert code == 0, beside
    return said


def test_create_prints_the_key_alone_and_once(propensity, url, ledger):
    said = create(propensity, url, "--name", "Braze", "--scope", "decide", "--scope", "report", "--expires-days", "90")
    (made,) = usable_keys(ledger)
    assert hash_key(said.strip()) == made.hash
    assert (made.name, made.scopes) == ("Braze", {"decide", "report"})
    assert made.expires_at - made.created_at == timedelta(days=90)
    _, listed, _ = propensity("keys", "list", "--ledger", url)
    assert said.strip().split("_", 2)[2] not in listed
    assert hash_key(said.strip()) not in listed
    for word in (made.prefix, "Braze", "decide, report", "works until"):
        assert word in listed


def test_rotate_and_revoke(propensity, url, ledger):
    first = create(propensity, url, "--name", "Braze", "--scope", "decide").strip()
    code, second, beside = propensity("keys", "rotate", "Braze", "--grace-hours", "2", "--ledger", url)
    assert code == 0
    assert "which works until" in beside
    assert {k.hash for k in usable_keys(ledger)} == {hash_key(first), hash_key(second.strip())}
    old = next(k for k in api_keys(ledger) if k.hash == hash_key(first))
    assert timedelta(hours=1.9) < old.revoked_at - datetime.now(UTC) < timedelta(hours=2)
    code, said, _ = propensity("keys", "revoke", "Braze", "--ledger", url)
    assert (code, usable_keys(ledger)) == (0, [])
    assert re.match(rf"Revoked {old.prefix}, \w{{8}} of Braze; ", said)
    assert propensity("keys", "list", "--ledger", url)[1].count("revoked") == 2


def test_by_default_the_old_key_has_a_day(propensity, url, ledger):
    create(propensity, url, "--name", "a", "--scope", "read")
    propensity("keys", "rotate", "a", "--ledger", url)
    old, _ = api_keys(ledger)
    assert timedelta(hours=23.9) < old.revoked_at - datetime.now(UTC) <= timedelta(hours=24)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["create", "--name", "a", "--scope", "write"], "Error: scope: expected one or more of decide, report, read"),
        (["create", "--name", " ", "--scope", "read"], "Error: name: expected 1 to 100 printable characters"),
        (["rotate", "nobody"], "Error: key nobody: no key that works has this name or prefix; see: propensity keys"),
        (["revoke", "nobody"], "Error: key nobody: no key that works has this name or prefix; see: propensity keys"),
    ],
)
def test_a_mistake_is_one_sentence(propensity, url, command, said):
    code, _, beside = propensity("keys", *command, "--ledger", url)
    assert code == 2
    assert beside.startswith(said)
    assert len(beside.splitlines()) == 1


def test_a_ledger_without_keys_says_so(propensity, url):
    assert propensity("keys", "list", "--ledger", url)[1] == f"The ledger {url} holds no key yet.\n"


def serve(url: str) -> tuple[int, str]:
    """A server that is expected not to start: exit code and what it says, in a process that it may become."""
    done = subprocess.run([*SERVE, "--port", "0", "--ledger", url], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_serve_wants_a_usable_key_and_says_how_to_make_one(propensity, url):
    code, said = serve(url)
    assert code == 2
    command = re.search(r"make one with: propensity (.*) \(or", said)[1]
    assert propensity(*command.replace("NAME", "Ann").split())[0] == 0
    assert "API key" not in serve(url)[1]
    propensity("keys", "revoke", "Ann", "--ledger", url)
    assert "holds no API key that works" in serve(url)[1]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_without_keys_it_is_open_to_this_machine_only(propensity, url, host):
    code, _, said = propensity("serve", "--port", "0", "--ledger", url, "--no-keys", "--host", host)
    assert (code, said.splitlines()) == (
        2,
        [f"Error: host {host}: with --no-keys the service listens on 127.0.0.1 only; leave out one of the two"],
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), ("", "is empty"), ("secret\n", "expected secrets of 24 to 64 random bytes in base64")],
)
def test_a_file_of_webhook_secrets_that_cannot_be_used_is_one_sentence(propensity, url, tmp_path, content, said):
    file = tmp_path / "secrets"
    if content is not None:
        file.write_text(content)
    code, _, beside = propensity("serve", "--port", "0", "--ledger", url, "--webhook-secret-file", file)
    assert code == 2
    assert said in beside
    assert len(beside.splitlines()) == 1
