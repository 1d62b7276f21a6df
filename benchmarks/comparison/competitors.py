"""Who competes, and how one is run: in a process of its own, one thread, a limit of time."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import propensity
from propensity import learners
from propensity.errors import JobError
from propensity.learners.base import UpliftLearner

WORKER = Path(__file__).with_name("worker.py")
SECONDS_TO_START = 60
"""A process may take this long to import its library and read the data; that is not counted as fitting."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "PROPENSITY_THREADS"), "1"
)
REFERENCE = "Propensity UpliftStack"


@dataclass(frozen=True)
class Competitor:
    """One way to fit effects.

    Attributes
    ----------
    library, kind : str
        What `worker.py` looks up.
    trees : {"", "small", "defaults"}
        LightGBM's settings, where the library asks for a model: small, slow trees as our own learners use, or
        LightGBM's defaults, as in the libraries' tutorials. Empty: the library brings a model of its own.
    binary_only : bool
        Whether it takes only outcomes of 0 and 1.
    """

    name: str
    library: str
    kind: str
    trees: str = ""
    binary_only: bool = False

    @property
    def slug(self) -> str:
        """A file name."""
        return "".join(c if c.isalnum() else "-" for c in self.name.lower())


@dataclass(frozen=True)
class Fitted:
    """What came of a fit: effects (n test people, n actions - 1) in training's order of actions, or why there are none.

    ``priority`` is what people are ordered by: for peers the effects again.

    Attributes
    ----------
    status : {"ok", "over time", "failed"}
    seconds : float
        Of fitting and predicting.
    """

    status: str
    seconds: float
    message: str
    effect: np.ndarray | None
    priority: np.ndarray | None


def all_competitors() -> list[Competitor]:
    """Ours first, the stack before the others."""
    kinds = [getattr(learners, name) for name in learners.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, UpliftLearner)]
    kinds.sort(key=lambda kind: (kind.__name__ != "UpliftStack", kind.__name__))
    ours = [Competitor(f"Propensity {kind.__name__}", "propensity", kind.__name__) for kind in kinds]
    described = {"small": "small trees", "defaults": "LightGBM"}
    peers = [
        Competitor(f"causalml {kind}-learner, {described[trees]}", "causalml", kind, trees)
        for kind in ("S", "T", "X", "R", "DR")
        for trees in described
    ]
    peers += [Competitor(f"causalml {k}", "causalml", k) for k in ("LRS", "XGBT", "XGBR", "XGBDR")]
    peers += [
        Competitor("causalml UpliftRandomForest", "causalml", "UpliftRandomForest", binary_only=True),
        Competitor("causalml CausalRandomForest", "causalml", "CausalRandomForest"),
        Competitor("EconML CausalForestDML", "econml", "CausalForestDML", "small"),
        Competitor("EconML CausalForestDML, large leaves", "econml", "CausalForestDML, large leaves", "small"),
        Competitor("EconML ForestDRLearner", "econml", "ForestDRLearner", "small"),
        Competitor("EconML LinearDRLearner", "econml", "LinearDRLearner", "small"),
    ]
    peers += [
        Competitor(f"EconML {kind}, {described[trees]}", "econml", kind, trees)
        for kind in ("DRLearner", "XLearner")
        for trees in described
    ]
    peers += [
        Competitor(f"scikit-uplift {kind}, {described[trees]}", "sklift", kind, trees, kind == "ClassTransformation")
        for kind in ("SoloModel", "TwoModels", "ClassTransformation")
        for trees in described
    ]
    return ours + peers


def library_versions(python: str) -> dict[str, str]:
    """Versions of the libraries that this Python has."""
    done = subprocess.run([python, str(WORKER), "--versions"], capture_output=True, text=True)
    if done.returncode:
        raise JobError(f"{python}: cannot run the competitors ({_last_line(done.stderr)})")
    return json.loads(done.stdout)


def code_fingerprint(*, ours: bool) -> str:
    """Changes with the code that competitors run: how the worker calls them, and of ours everything."""
    own = sorted(Path(propensity.__file__).parent.rglob("*.py"))
    digest = hashlib.blake2b(digest_size=8)
    for file in [WORKER, *(own if ours else [])]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def run(competitor: Competitor, directory: Path, python: str, limit_seconds: float, fingerprint: str) -> Fitted:
    """Fit a competitor on the halves in a directory, or take what an earlier run left there.

    Parameters
    ----------
    directory : Path
        As `problems.write_halves` wrote it.
    python : str
        The interpreter that has the library.
    fingerprint : str
        What is there counts only if it was made from the same.
    """
    record_file = directory / f"{competitor.slug}.json"
    effect_file = directory / f"{competitor.slug}.npy"
    wanted = {"competitor": asdict(competitor), "fingerprint": fingerprint, "limit_seconds": limit_seconds}
    record = json.loads(record_file.read_text("utf-8")) if record_file.is_file() else {}
    if any(record.get(key) != value for key, value in wanted.items()):
        record = {**wanted, **_fit(competitor, directory, effect_file, python, limit_seconds)}
        record_file.write_text(json.dumps(record, indent=1), "utf-8")
    effect, priority = np.load(effect_file) if record["status"] == "ok" else (None, None)
    return Fitted(record["status"], record["seconds"], record["message"], effect, priority)


def _fit(
    competitor: Competitor, directory: Path, effect_file: Path, python: str, limit_seconds: float
) -> dict[str, object]:
    command = [python, str(WORKER), str(directory), json.dumps(asdict(competitor)), str(effect_file)]
    environment = {**os.environ, **ONE_THREAD}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=limit_seconds + SECONDS_TO_START
        )
    except subprocess.TimeoutExpired:
        return {"status": "over time", "seconds": limit_seconds, "message": f"more than {limit_seconds:g} s"}
    if done.returncode:
        return {"status": "failed", "seconds": float("nan"), "message": _last_line(done.stderr)}
    seconds = float(done.stdout.strip().splitlines()[-1])
    effect = np.load(effect_file)
    if not np.isfinite(effect).all():
        return {"status": "failed", "seconds": seconds, "message": "predicted effects are not finite"}
    if seconds > limit_seconds:
        return {"status": "over time", "seconds": seconds, "message": f"more than {limit_seconds:g} s"}
    return {"status": "ok", "seconds": seconds, "message": ""}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "no message"
