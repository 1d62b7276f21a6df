"""Two workers are asked about one person by many callers at the same moment: there is one decision."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import sqlalchemy as sa
from campaign_load import CAMPAIGN, asked
from real_server import running, stop

from propensity.ledger import Ledger, schema

pytestmark = pytest.mark.slow

CALLS = 200


async def all_at_once(address: str, key: str) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=CALLS)
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60, trust_env=False) as client:
        calls = [client.post(f"{address}/v1/decisions", json=asked("anna")) for _ in range(CALLS)]
        return await asyncio.gather(*calls)


def test_many_calls_at_once_get_one_decision(mlflow_of_trained, prepared, tmp_path):
    ledger_url = f"sqlite:///{tmp_path / 'ledger.db'}"
    key = prepared(ledger_url)
    with running(tmp_path, ledger_url, "--workers", "2") as (address, _, process):
        answers = asyncio.run(all_at_once(address, key))
        stop(process)
    assert {answer.status_code for answer in answers} == {200}
    first, *others = [answer.json()["decisions"] for answer in answers]
    assert all(other == first for other in others)
    ledger = Ledger(ledger_url).open()
    with ledger.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.decisions)) == 1
    assert ledger.decisions(CAMPAIGN)["decision_id"].tolist() == [first[0]["decision_id"]]
    ledger.close()
