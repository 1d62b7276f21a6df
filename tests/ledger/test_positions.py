"""Ids are found exactly, whatever they are made of."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from propensity.ledger import positions
from propensity.ledger.positions import Positions, numbered

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


@pytest.mark.usefixtures("hashes")
def test_texts_are_numbered_as_they_come():
    found, number = numbered(pa.array(["b", "a", "b", "", "c", "a", "", "d"]))
    assert found.texts.to_pylist() == ["b", "a", "", "c", "d"]
    assert number.tolist() == [0, 1, 0, 2, 3, 1, 2, 4]
    assert found.of(pa.array(["d", "e", "b"])).tolist() == [4, -1, 0]


def test_many_are_found_among_many():
    rng = np.random.default_rng(0)
    texts = pa.array([f"c{k}" for k in rng.permutation(40_000)])
    found, number = numbered(pa.concat_arrays([texts, texts[::-1]]))
    assert len(found) == 40_000
    assert number.tolist() == [*range(40_000), *reversed(range(40_000))]
    asked = rng.integers(0, 80_000, 20_000)
    place = dict(zip(texts.to_pylist(), range(40_000), strict=True))
    expected = [place.get(f"c{k}", -1) for k in asked]
    assert found.of(pa.array([f"c{k}" for k in asked])).tolist() == expected
