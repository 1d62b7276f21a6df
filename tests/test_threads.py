"""Work ahead of who asks: in order, no more of it than threads can do, and its failures are told."""

from __future__ import annotations

import time

import pytest

from propensity import threads
from propensity.threads import ahead


@pytest.fixture(params=[1, 2, 3])
def n_threads(request, monkeypatch):
    monkeypatch.setattr(threads, "available_threads", lambda: request.param)
    return request.param


def test_results_come_in_the_order_of_the_items(n_threads):
    def slow_at_first(item):
        time.sleep(0.03 if item == 0 else 0)
        return item**2

    assert list(ahead(slow_at_first, range(20))) == [i**2 for i in range(20)]


def test_no_more_items_are_taken_than_threads_and_one(n_threads):
    taken = []
    results = ahead(lambda item: item, (taken.append(i) or i for i in range(50)))
    assert next(results) == 0
    assert len(taken) == (1 if n_threads == 1 else n_threads + 1)
    results.close()
    assert len(taken) <= n_threads + 1


def test_what_went_wrong_is_told_in_its_turn(n_threads):
    results = ahead(lambda item: 1 / (3 - item), range(50))
    assert [next(results) for _ in range(3)] == [1 / 3, 1 / 2, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)
