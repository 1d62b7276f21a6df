"""Work that gathers is done together, in order; a fault is told to who asked, and harms nobody after."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from propensity.lanes import Lane


def test_a_lane_does_together_what_gathers_and_keeps_order():
    gate, done = threading.Event(), []

    def work(items: list[int]) -> list[int | Exception]:
        gate.wait(10)
        done.append(items)
        return [ValueError("odd") if i % 2 else 10 * i for i in items]

    lane: Lane[int, int] = Lane("test", work, 4)
    futures: list[Future[int]] = [lane.submit(i) for i in range(10)]
    assert futures[9].cancel()
    gate.set()
    assert [f.result() for f in futures[:9:2]] == [0, 20, 40, 60, 80]
    with pytest.raises(ValueError, match="odd"):
        futures[1].result()
    lane.close()
    assert [i for items in done for i in items] == list(range(9))
    assert max(map(len, done)) <= 4
    assert not any(thread.name == "test" for thread in threading.enumerate())


def test_a_lane_whose_work_fails_tells_everybody_and_goes_on():
    def work(items: list[int]) -> list[int | Exception]:
        if -1 in items:
            raise RuntimeError("broken")
        return list(items)

    lane: Lane[int, int] = Lane("test", work, 1)
    broken, well = lane.submit(-1), lane.submit(3)
    with pytest.raises(RuntimeError, match="broken"):
        broken.result()
    assert well.result() == 3
    lane.close()
