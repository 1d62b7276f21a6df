"""What of a wave can be spread over workers, and what is one process's?

`python benchmarks/scoring_parts.py --people 200000`: microseconds of the processor a person, of one thread: to count
and check everybody beforehand, to score (as workers do), and to put together: reading, checking, packing a batch as it
is sent, unpacking what comes back, writing. The people and the model are those of `decide_scale.py`. Setting prices is
told apart, in seconds: it does not grow with the people.
"""

from __future__ import annotations

import argparse
import os
import pickle
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from decide_scale import in_own_process, train, write_customers

from propensity import decide_file as module
from propensity.engines.dask_engine import DaskAnswer
from propensity.model import DecisionModel
from propensity.scoring import Batch, Order, Scored, score
from propensity.simulation.program import DECIDED_AT
from propensity.wave_file import Left, WaveFile


class Timed:
    """Scores as a worker would, and keeps apart what that takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def answers(self, model: DecisionModel, order: Order, asked: Iterable[tuple[Batch, Left]]) -> Iterator[DaskAnswer]:
        for batch, left in asked:
            sent = pickle.dumps((batch, left), protocol=5)
            start = time.process_time()
            back = pickle.dumps(scored_there(model, order, *pickle.loads(sent)), protocol=5)
            self.seconds += time.process_time() - start
            yield DaskAnswer(pickle.loads(back), partial(scored_there, model, order, batch))


def scored_there(model: DecisionModel, order: Order, batch: Batch, left: Left) -> Scored:
    return score(batch.people(model, order), left, order)


def timed(function: Callable[..., Any], kept: list[float]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        start = time.process_time()
        result = function(*arguments, **options)
        kept.append(time.process_time() - start)
        return result

    return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--train", type=int, default=40_000, help="customers of the program that the model learns from")
    parser.add_argument("--model", type=Path, help="directory to keep the model in, or to take it from")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model, source = options.model or Path(scratch) / "model", Path(scratch) / "customers.parquet"
        if not model.exists():
            in_own_process(train, options.train, str(model))
        in_own_process(write_customers, options.people, str(source))
        loaded, load, looks, plans = DecisionModel.load(model), os.getloadavg()[0], [], []
        module.look_through = timed(module.look_through, looks)
        module._plan = timed(module._plan, plans)
        engine, start, out = Timed(), time.process_time(), Path(scratch) / "decisions.parquet"
        module.decide_file(loaded, WaveFile(source, pd.Timestamp(DECIDED_AT)), out, engine=engine)
        total, n = time.process_time() - start, options.people
        together = total - sum(looks) - sum(plans) - engine.seconds
        print("| people | before | scoring | together | prices, s | bytes: customer, decision | load |")
        print("|---|---|---|---|---|---|---|")
        parts = (f"{1e6 * seconds / n:.1f}" for seconds in (sum(looks), engine.seconds, together))
        print(
            f"| {n:,} | {' | '.join(parts)} | {sum(plans):.1f} | {source.stat().st_size / n:.0f}, "
            f"{out.stat().st_size / n:.0f} | {load:.1f} |"
        )


if __name__ == "__main__":
    main()
