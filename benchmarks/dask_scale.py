"""How much faster do two of Dask's workers decide than one, and do they decide the same?

`python benchmarks/dask_scale.py --people 400000 --workers 1 2`: the people and the model of `decide_scale.py`, decided
on by threads of one process (`--workers 0`; one thread, with PROPENSITY_THREADS=1) and by so many workers of one thread
each on this machine. Each run is a process of its own; seconds of the processor are told of it and of its workers, and
the time to start the workers is told apart. What is written is compared by its SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
from decide_scale import in_own_process, train, write_customers

from propensity.decide_file import decide_file
from propensity.engines.chosen import EngineName, chosen
from propensity.model import DecisionModel
from propensity.simulation.program import DECIDED_AT
from propensity.wave_file import WaveFile


def decide(results: Any, workers: int, model: str, source: str, out: str) -> None:
    start = time.perf_counter()
    engine = chosen(EngineName.dask, None, workers) if workers else chosen(EngineName.local)
    with engine as hands:
        started = time.perf_counter()
        wave = WaveFile(Path(source), pd.Timestamp(DECIDED_AT))
        decide_file(DecisionModel.load(model), wave, Path(out), engine=hands)
        decided = time.perf_counter()
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    processor = [x.ru_utime + x.ru_stime for x in (own, others)]
    results.put((started - start, decided - started, *processor, own.ru_maxrss / 1024, others.ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2], help="0: threads of one process")
    parser.add_argument("--train", type=int, default=40_000, help="customers of the program that the model learns from")
    parser.add_argument("--model", type=Path, help="directory to keep the model in, or to take it from")
    options = parser.parse_args()
    # workers are processes of their own, which a daemon may not have
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch:
        model, source = options.model or Path(scratch) / "model", str(Path(scratch) / "customers.parquet")
        if not model.exists():
            in_own_process(train, options.train, str(model))
        in_own_process(write_customers, options.people, source)
        print(f"{options.people:,} people; {os.cpu_count()} cores")
        print(
            "| workers | seconds to start | to decide | processor, this process | workers | peak memory, each | load |",
            end="",
        )
        print(" written |")
        print("|---|---|---|---|---|---|---|---|")
        for workers in options.workers:
            out, load = Path(scratch) / f"decided-{workers}.parquet", os.getloadavg()[0]
            results = context.SimpleQueue()
            process = context.Process(target=decide, args=(results, workers, str(model), source, str(out)))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{workers} workers failed")
            started, decided, own, others, own_mb, others_mb = results.get()
            with out.open("rb") as written:
                digest = hashlib.file_digest(written, "sha256").hexdigest()[:12]
            print(
                f"| {workers or 'none'} | {started:.1f} | {decided:.1f} | {own:.1f} | {others:.1f} | "
                f"{own_mb:,.0f} and {others_mb:,.0f} MB | {load:.1f} | {digest} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
