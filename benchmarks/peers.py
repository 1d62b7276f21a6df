"""This project against causalml, EconML and scikit-uplift, on the same halves with the same scores.

`pip install .[bench]`, then `python benchmarks/peers.py --cache DIRECTORY --write docs/peers.md`. Each competitor is
fitted on one half of the people, in a process of its own with one thread, and judged on the other half. Splits are
numbered 0, 1, ...; no split and no competitor is left out: what takes too long or fails is listed as that.
The peers may live in another environment: `python -m venv E; E/bin/pip install -r benchmarks/peers-requirements.txt`,
then `--peers-python E/bin/python`. With `--cache`, an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from comparison.competitors import (
    REFERENCE,
    Competitor,
    all_competitors,
    code_fingerprint,
    library_versions,
    run,
)
from comparison.judging import NOBODY, SAME_FOR_ALL, Judge, judge_by_scores, judge_by_truth
from comparison.problems import PROBLEMS, halves, write_halves
from comparison.results import Row, Table, summary

import propensity
from propensity.errors import InputError, JobError

HOW = """\
Every competitor is fitted on one half of the people (split by chance, stratified by arm and outcome) and judged on the
other half. There, each person gets the action of greatest predicted value, or none where no prediction is positive.
*Net value* is what that brings in against contacting nobody, measured with doubly robust scores whose outcome models
were fitted out of fold on the test half alone, the same for all competitors. *QINI* is the area between the Qini curve
of an action's predicted effect and random targeting, averaged over actions, per 1,000 people; our learners order people
by their `priority`, which is the effect wherever differences between people are supported. In the simulated program
both are computed from the truth; there money follows from effects by one rule for all, learnt on the training half,
and each split is another simulated program. Differences are paired, person by person, with their standard error; it is
that of a single split, because splits of the same people do not average errors out. *Seconds* are for fitting and
predicting, one thread, mean over splits.

Logged probabilities are given to every library that takes them. Categories are one-hot, gaps filled by the median and
flagged, except for our learners, which take both as they are. *LightGBM* is LightGBM with its defaults, as in the
libraries' tutorials; *small trees* are LightGBM with the settings that our own learners had when this comparison was
written. Where nothing is said, a library's own models and defaults are used; EconML's forests and its linear learner
get small trees for their nuisances, its forests 200 trees and causalml's UpliftRandomForest 100. *Large leaves* are of
at least 100 people. EconML is fitted on all actions at once, the other libraries once an action, on the people who got
it or control; on the simulated program, where not everybody may get everything, EconML too.
*The same action for all* is chosen by the training half's averages."""


@dataclass(frozen=True)
class Setup:
    """How competitors are run."""

    python: str
    versions: dict[str, str]
    cache: Path
    limit_seconds: float
    quick: bool


def competitors(only: list[str], binary: bool, setup: Setup) -> list[Competitor]:
    """Those asked for that take such an outcome, the stack always."""
    return [
        c
        for c in all_competitors()
        if (not only or c.name == REFERENCE or any(part.lower() in c.name.lower() for part in only))
        and (binary or not c.binary_only)
    ]


def compare(key: str, splits: int, only: list[str], setup: Setup) -> Table:
    """All competitors on all splits of one problem."""
    rows: dict[str, Row] = {}
    n_test = []
    for split in range(splits):
        train, test = halves(key, split, setup.quick)
        directory = setup.cache / f"{key}{'-quick' if setup.quick else ''}-{split}"
        directory.mkdir(parents=True, exist_ok=True)
        write_halves(train, test, directory)
        data = f"{train.fingerprint()} {test.fingerprint()}"
        judge = _judge(train, test, split, directory, f"{data} {code_fingerprint(ours=True)}")
        n_test.append(len(test.y))
        for name, choice in judge.references.items():
            rows.setdefault(name, Row(name)).values.append(judge.values(choice))
            # the same effect for everybody ranks nobody
            if name in (NOBODY, SAME_FOR_ALL):
                rows[name].parts.append(np.zeros(len(choice)))
        for competitor in competitors(only, train.binary, setup):
            ours = competitor.library == "propensity"
            made_of = f"{data} {code_fingerprint(ours=ours)}{'' if ours else ' ' + json.dumps(setup.versions)}"
            python = sys.executable if ours else setup.python
            fitted = run(competitor, directory, python, setup.limit_seconds, made_of)
            row = rows.setdefault(competitor.name, Row(competitor.name))
            row.seconds.append(fitted.seconds)
            if fitted.effect is None or fitted.priority is None:
                row.trouble = f"{fitted.status}: {fitted.message}" if fitted.status == "failed" else fitted.status
            else:
                row.values.append(judge.values(judge.choose(fitted.effect)))
                row.parts.append(judge.qini_parts(fitted.priority))
            print(
                f"{key} {split} {competitor.name}: {fitted.status}, {fitted.seconds:.1f} s {fitted.message}", flush=True
            )
    return Table(key, train.title, train.unit, n_test, list(rows.values()))


def _judge(train, test, split: int, directory: Path, fingerprint: str) -> Judge:
    """The judge of a split, kept beside the halves."""
    file, made_of = directory / "judge.npz", directory / "judge.txt"
    if not (file.is_file() and made_of.is_file() and made_of.read_text("utf-8") == fingerprint):
        judge = judge_by_scores(train, test, split) if test.program is None else judge_by_truth(train, test, split)
        judge.save(file)
        made_of.write_text(fingerprint, "utf-8")
    return Judge.load(file)


def report(tables: list[Table], setup: Setup, seconds: float) -> str:
    """The whole comparison as markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in setup.versions.items())
    command = shlex.join(["python", "benchmarks/peers.py", *_told(sys.argv[1:])])
    parts = [
        "# Against other libraries",
        "",
        f"Made by `{command}` on {datetime.now(UTC):%Y-%m-%d} ({seconds / 60:.0f} minutes in this "
        "run; fits kept by an earlier one count with the seconds that they took). "
        f"Machine: {_processor()}, {platform.system()}, Python {platform.python_version()}. "
        f"Propensity {propensity.__version__}; {versions}. A fit may take {setup.limit_seconds:g} s.",
        *(["", "**A rehearsal with few people: not a result.**"] if setup.quick else []),
        "",
        HOW,
        "",
        "## Over all problems",
        "",
        "Ranks among all policies with a result (1 is best; ties share their mean rank); the oracle is not ranked.",
        "",
        summary(tables),
        "",
        "## Each problem",
        "",
    ]
    return "\n".join(parts) + "\n" + "\n\n".join(table.markdown() for table in tables) + "\n"


def _told(arguments: list[str]) -> list[str]:
    """The arguments without the places of this machine."""
    private = ("--cache", "--peers-python")
    told, skip = [], False
    for argument in arguments:
        if not skip and argument.split("=")[0] not in private:
            told.append(argument)
        skip = argument in private
    return told


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} cores ({names[0]})" if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(PROBLEMS), help=f"some of {', '.join(PROBLEMS)}")
    parser.add_argument("--only", action="append", default=[], help="part of a name, repeatable; the stack always runs")
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few people and one split: a rehearsal, not a result")
    parser.add_argument("--cache", type=Path, help="keeps results here, and takes what fits from there")
    parser.add_argument("--limit", type=float, default=180.0, help="seconds that a fit may take")
    parser.add_argument("--peers-python", default=sys.executable, help="the Python that has the peers")
    parser.add_argument("--write", type=Path, help="markdown file to write")
    options = parser.parse_args()
    keys = [key.strip() for key in options.data.split(",")]
    unknown = [key for key in keys if key not in PROBLEMS]
    if unknown:
        parser.error(f"--data: expected some of {', '.join(PROBLEMS)}, found {', '.join(unknown)}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        try:
            versions = library_versions(options.peers_python)
            lacking = [name for name in ("causalml", "econml", "scikit-uplift") if name not in versions]
            if lacking:
                raise JobError(f"{options.peers_python} lacks {', '.join(lacking)}; see --help for how to install them")
            cache = options.cache or Path(temporary)
            setup = Setup(options.peers_python, versions, cache, options.limit, options.quick)
            splits = 1 if options.quick else options.splits
            tables = [compare(key, splits, options.only, setup) for key in keys]
        except (InputError, JobError) as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
    text = report(tables, setup, time.monotonic() - start)
    print(text)
    if options.write:
        options.write.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
