"""How do time and memory of training grow with the logged decisions, and what do Dask's workers save?

`python benchmarks/train_scale.py --decisions 100000 1000000`: the default playbook's program is simulated, a chunk of
people at a time, into one training frame; `DecisionModel.fit` learns from it in a process of its own. With
`--workers 2` fits by which learners are tested and weighed are also made by so many workers of Dask on this machine,
and it is said whether the saved models are the same, file by file. Memory is the peak of the process that learns, the
frame included, and the largest of the workers'.

`python benchmarks/train_scale.py --decisions 10000000 --people-share 0.1 0.2` writes the program's contract tables
instead, and runs `propensity train` on so many of its people: reading, checking, learning and assessing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from decide_scale import in_own_process

from propensity import playbook
from propensity.checksums import MANIFEST_FILE
from propensity.engines.chosen import EngineName, chosen
from propensity.frame import training_frame
from propensity.model import DecisionModel
from propensity.simulation import simulate
from propensity.threads import available_threads, done_by

CHUNK = 50_000


def write_frame(n: int, file: str) -> int:
    """Decisions of no fewer than n people, of whom each has one; ids are the people's own."""
    book, writer, written = playbook.load("default"), None, 0
    for seed in range(-(-n // CHUNK)):
        program = simulate(min(CHUNK, n - seed * CHUNK), seed=seed + 1, playbook=book)
        window = book.program.attribution_window_days
        frame = training_frame(program.customers, program.contacts, program.outcomes, window_days=window)
        frame["customer_id"] = f"{seed}-" + frame["customer_id"].astype("str")
        table = pa.Table.from_pandas(frame, preserve_index=False)
        writer = writer or pq.ParquetWriter(file, table.schema)
        writer.write_table(table.cast(writer.schema))
        written += len(frame)
    if writer is not None:
        writer.close()
    return written


def write_tables(n: int, directory: str) -> int:
    """Contract tables of no fewer than n decisions."""
    book, written, seed = playbook.load("default"), 0, 0
    writers: dict[str, pq.ParquetWriter] = {}
    while written < n:
        seed += 1
        program = simulate(CHUNK, seed=seed, playbook=book)
        tables = {"customers": program.customers, "contacts": program.contacts, "outcomes": program.outcomes}
        for name, frame in tables.items():
            keys = [key for key in ("customer_id", "decision_id", "event_id") if key in frame]
            own = frame.assign(**{key: f"{seed}-" + frame[key] for key in keys})
            table = pa.Table.from_pandas(own, preserve_index=False)
            file = str(Path(directory) / f"{name}.parquet")
            writers[name] = writers.get(name) or pq.ParquetWriter(file, table.schema)
            writers[name].write_table(table.cast(writers[name].schema))
        written += len(program.contacts)
    for writer in writers.values():
        writer.close()
    return written


def train_on_some(results: Any, directory: str, share: float) -> None:
    """Run the command; in a process of its own, whose only child it is."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{scratch}/mlflow.db"}
        command = [sys.executable, "-m", "propensity", "train", "--data", directory, "--people-share", str(share)]
        result = Path(scratch) / "result.json"
        subprocess.run([*command, "--result", str(result)], cwd=scratch, env=environment, check=True)
        told = json.loads(result.read_text(encoding="utf-8"))
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = time.perf_counter() - start
    learnt, judged = told["n_training"], told["assessment"]["n_people"]
    results.put((learnt, judged, told["mode"], seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))


def show_shares(asked: list[int], shares: list[float], kept: Path | None) -> None:
    """Train on shares of the people of tables with so many decisions."""
    context = multiprocessing.get_context("spawn")
    print(f"{available_threads()} threads")
    print(
        "| decisions in the tables | people read | learnt from | judged by | granted | seconds | processor | peak, MB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for n in asked:
        with tempfile.TemporaryDirectory() as scratch:
            directory = str(kept or scratch)
            contacts = Path(directory) / "contacts.parquet"
            if not contacts.exists():
                in_own_process(write_tables, n, directory)
            written = pq.ParquetFile(contacts).metadata.num_rows
            for share in shares:
                results = context.SimpleQueue()
                process = context.Process(target=train_on_some, args=(results, directory, share))
                process.start()
                process.join()
                if process.exitcode:
                    raise SystemExit(f"{written:,} decisions, {share:g} of the people: failed")
                learnt, judged, mode, seconds, processor, peak = results.get()
                print(
                    f"| {written:,} | {share:.0%} | {learnt:,} | {judged:,} | {mode.replace('_', ' ')} | "
                    f"{seconds:,.0f} | {processor:,.0f} | {peak:,.0f} |",
                    flush=True,
                )


def learn(results: Any, workers: int, file: str, out: str) -> None:
    frame = pd.read_parquet(file)
    read_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with chosen(EngineName.dask, None, workers) if workers else chosen(EngineName.local) as hands:
        start = time.perf_counter()
        with done_by(hands.run if hands else None):
            DecisionModel(playbook.load("default")).fit(frame).save(out)
        seconds = time.perf_counter() - start
    own, others = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    processor = [x.ru_utime + x.ru_stime for x in (own, others)]
    results.put((seconds, *processor, read_mb, own.ru_maxrss / 1024, others.ru_maxrss / 1024))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, nargs="+", default=[40_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[0], help="0: threads of one process")
    parser.add_argument("--people-share", type=float, nargs="+", help="run the command on so many of the people")
    parser.add_argument("--tables", type=Path, help="keep the tables in this directory, or take them from there")
    options = parser.parse_args()
    if options.people_share:
        show_shares(options.decisions, options.people_share, options.tables)
        return
    # workers are processes of their own, which a daemon may not have
    context = multiprocessing.get_context("spawn")
    print(f"{available_threads()} threads in the process that learns, one in each worker")
    print("| decisions | workers | seconds | processor, this process | workers | frame read, MB | peak, MB |", end="")
    print(" of a worker, MB | load | saved model |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        file = str(Path(scratch) / "frame.parquet")
        for asked in options.decisions:
            n, first = in_own_process(write_frame, asked, file).result, None
            for workers in options.workers:
                out, load = Path(scratch) / f"model-{asked}-{workers}", os.getloadavg()[0]
                results = context.SimpleQueue()
                process = context.Process(target=learn, args=(results, workers, file, str(out)))
                process.start()
                process.join()
                if process.exitcode:
                    raise SystemExit(f"{n:,} decisions, {workers} workers: failed")
                seconds, own, others, read_mb, peak, of_worker = results.get()
                saved = json.loads((out / MANIFEST_FILE).read_text(encoding="utf-8"))
                first = first or saved
                print(
                    f"| {n:,} | {workers or 'none'} | {seconds:.1f} | {own:.1f} | {others:.1f} | {read_mb:,.0f} | "
                    f"{peak:,.0f} | {of_worker:,.0f} | {load:.1f} | {'the same' if saved == first else 'another'} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
