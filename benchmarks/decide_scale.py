"""How fast does `propensity decide FILE` decide for a million people, and does its memory stay flat?

`python benchmarks/decide_scale.py --people 1000000`: a model of the default playbook's 26 actions is trained on a
simulated program; customers of the same program are drawn into a Parquet file, and `decide_file` decides for them, in a
process of its own. Beside it, also in a process of its own: the bare LightGBM predictions that these decisions rest
on, every booster on the same encoded rows with the same number of threads, and nothing else; they are timed on the
first `--bare` people and scaled. Where the machine is busy with something else, seconds of the processor say more than
seconds of the clock. With `--model DIR` the model is kept there, or taken from there. Several numbers of people show
whether memory is flat: `--people 100000 200000 400000`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from propensity import playbook
from propensity.decide_file import decide_file
from propensity.frame import training_frame
from propensity.learners.base import UpliftLearner
from propensity.learners.factored import FactoredBoostedLearner, FactoredLinearLearner
from propensity.learners.s import SLearner
from propensity.model import DecisionModel
from propensity.reasons.model import ReasonModel, TreeScorer
from propensity.simulation import simulate
from propensity.simulation.customers import draw_customers
from propensity.simulation.program import DECIDED_AT
from propensity.threads import available_threads
from propensity.wave_file import WaveFile

CHUNK = 50_000
BARE_ROWS = 20_000
"""Encoded at once for the bare predictions."""


def train(n: int, directory: str) -> None:
    book = playbook.load("default")
    program = simulate(n, seed=1, playbook=book)
    window = book.program.attribution_window_days
    frame = training_frame(program.customers, program.contacts, program.outcomes, window_days=window)
    DecisionModel(book).fit(frame).save(directory)


def write_customers(n: int, file: str) -> None:
    """A chunk at a time, so that making the file takes no more memory for more people."""
    book, rng = playbook.load("default"), np.random.default_rng(2)
    writer = None
    for first in range(0, n, CHUNK):
        people, _ = draw_customers(min(CHUNK, n - first), book, DECIDED_AT, rng)
        people["customer_id"] = [f"c{number:08d}" for number in range(first, first + len(people))]
        table = pa.Table.from_pandas(people, preserve_index=False)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def decide(model: str, source: str, out: str) -> int:
    wave = WaveFile(Path(source), pd.Timestamp(DECIDED_AT))
    return decide_file(DecisionModel.load(model), wave, Path(out)).people


def bare_predictions(model: str, source: str, n: int) -> tuple[int, float, float]:
    """The first people of the file, no fewer than n, and seconds of clock and processor in `predict` for them."""
    loaded, people, clock, processor = DecisionModel.load(model), 0, 0.0, 0.0
    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(BARE_ROWS):
            for booster, rows in needed(loaded, batch.to_pandas()):
                before, start = time.process_time(), time.perf_counter()
                booster.predict(rows, num_threads=available_threads(), raw_score=True)
                clock, processor = clock + time.perf_counter() - start, processor + time.process_time() - before
            people += len(batch)
            if people >= n:
                break
    return people, clock, processor


def needed(model: DecisionModel, people: pd.DataFrame) -> Iterator[tuple[lgb.Booster, np.ndarray]]:
    """Each booster that decisions rest on, with the rows (m, d) that it must see, once for each."""
    at = pd.Timestamp(DECIDED_AT)
    encoded = np.ascontiguousarray(model._encode(people, at))
    outcome = model.reactivation.outcome_learner_
    assert isinstance(outcome, SLearner)
    # the chance of coming back without contact; what contact adds comes from the effects
    yield outcome.booster_, outcome._with_action(encoded, np.zeros(len(encoded), dtype=np.intp))
    for _, _, learner in model.reactivation.members_:
        yield from _of_learner(learner, encoded)
    if model.amount.booster_ is not None:
        yield model.amount.booster_, encoded
    silent = people[people["reason"].isna()]
    reasons = model.reason_models.features and model.reason_models.features.model
    if isinstance(reasons, ReasonModel) and isinstance(reasons.scorer_, TreeScorer):
        scorer = reasons.scorer_
        yield scorer.booster, np.ascontiguousarray(scorer.encoder.transform(model.reason_features(silent, at)))


def _of_learner(learner: UpliftLearner, encoded: np.ndarray) -> Iterator[tuple[lgb.Booster, np.ndarray]]:
    if isinstance(learner, SLearner):
        for arm in range(len(learner.actions_)):
            yield learner.booster_, learner._with_action(encoded, np.full(len(encoded), arm))
    elif isinstance(learner, FactoredBoostedLearner):
        yield learner.booster_, encoded
    elif not isinstance(learner, FactoredLinearLearner):
        raise TypeError(f"{type(learner).__name__}: this benchmark does not know its boosters")


@dataclass(frozen=True)
class Measured:
    """What a function returned, its seconds of clock and processor, and the peak memory of its process in MB."""

    result: Any
    clock: float
    processor: float
    megabytes: float


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Measured:
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=_measure, args=(results, function, arguments))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{function.__name__} failed")
    found: Measured = results.get()
    return found


def _measure(results: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    processor, start = time.process_time(), time.perf_counter()
    result = function(*arguments)
    seconds = time.perf_counter() - start, time.process_time() - processor
    results.put(Measured(result, *seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[20_000])
    parser.add_argument("--train", type=int, default=40_000, help="customers of the program that the model learns from")
    parser.add_argument("--model", type=Path, help="directory to keep the model in, or to take it from")
    parser.add_argument("--bare", type=int, default=40_000, help="people whose bare predictions are timed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        model = options.model or Path(scratch) / "model"
        if not model.exists():
            seconds = in_own_process(train, options.train, str(model)).clock
            print(f"trained on a program of {options.train:,} customers in {seconds:.0f} s", flush=True)
        loaded = DecisionModel.load(model)
        weights = ", ".join(f"{name} {weight:.2f}" for name, weight in loaded.reactivation.weights_.items() if weight)
        print(f"{len(loaded.actions) - 1} actions, decided {loaded.mode}; {weights}; {available_threads()} threads")
        print("| people | seconds | people a second | bare LightGBM, s | share of its speed | processor, s |", end="")
        print(" bare, processor, s | share | peak memory | load |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for n in options.people:
            measure(n, str(model), Path(scratch), options.bare)


def measure(n: int, model: str, scratch: Path, n_bare: int) -> None:
    """One row of the table."""
    source, load = str(scratch / "customers.parquet"), os.getloadavg()[0]
    in_own_process(write_customers, n, source)
    decided = in_own_process(decide, model, source, str(scratch / "decisions.parquet"))
    people, clock, processor = in_own_process(bare_predictions, model, source, n_bare).result
    bare, bare_processor = clock * n / people, processor * n / people
    print(
        f"| {decided.result:,} | {decided.clock:.1f} | {n / decided.clock:,.0f} | {bare:.1f} | "
        f"{bare / decided.clock:.0%} | {decided.processor:.1f} | {bare_processor:.1f} | "
        f"{bare_processor / decided.processor:.0%} | {decided.megabytes:,.0f} MB | {load:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
