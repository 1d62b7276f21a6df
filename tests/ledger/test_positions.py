"""Ids are found exactly, whatever they are made of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from propensity.ledger import positions
from propensity.ledger.positions import Positions

IDS = ["", "a", "aa", "a\x00", "12345678", "123456789", "x" * 40, "x" * 41, "Zoë", "ZoE", " a", "a "]


@pytest.fixture(params=["as it is", "all hashes the same", "two hashes the same"])
def hashes(request, monkeypatch):
    """Also with hashes that say nothing."""
    honest = positions._hashes
    ways = {
        "all hashes the same": lambda texts: np.zeros(len(texts), dtype=np.int64),
        "two hashes the same": lambda texts: honest(texts) >> 62,
    }
    if request.param in ways:
        monkeypatch.setattr(positions, "_hashes", ways[request.param])


@pytest.mark.usefixtures("hashes")
def test_each_text_is_found_and_no_other():
    asked = [*reversed(IDS), "b", None, "x" * 39, "1234567", "a\x00\x00"]
    found = Positions(pa.array(IDS)).of(pa.array(asked))
    assert found.tolist() == [*reversed(range(len(IDS))), -1, -1, -1, -1, -1]


@pytest.mark.parametrize("text", IDS)
def test_a_text_is_found_alone_and_in_a_slice_among_longer_ones(text):
    table = Positions(pa.array(["before", *IDS])[1:])
    assert table.of(pa.array([text])).tolist() == [IDS.index(text)]
    assert table.of(pa.array(["y" * 99, text])[1:]).tolist() == [IDS.index(text)]


def test_among_none_nothing_is_found():
    assert Positions(pa.array([], pa.string())).of(pa.array(["a", None])).tolist() == [-1, -1]
    assert Positions(pa.array(["a"])).of(pa.array([], pa.string())).tolist() == []
