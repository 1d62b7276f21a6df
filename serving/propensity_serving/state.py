"""What a worker holds while it serves: one model at a time, and the ledger."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from propensity.errors import InputError, JobError
from propensity.ledger import Ledger
from propensity.model import DecisionModel
from propensity.registered import CHAMPION, Pointed, RegistryDown, look, model_files
from propensity_serving import copies, metrics
from propensity_serving.checks import read_logged, read_model, require_sane_decisions
from propensity_serving.fetching import fetched
from propensity_serving.problems import Problem
from propensity_serving.refusal import ModelRefused, require_approved
from propensity_serving.settings import Settings

RETRY_REFUSED_SECONDS = 30.0
LEDGER_FRESH_SECONDS = 1.0
PREVIOUS_KEPT = 20

Source = Literal["registry", "last good copy"]

logger = logging.getLogger("propensity.serving")


@dataclass(frozen=True, eq=False)
class Serving:
    """A model that serves; a request takes one of these and keeps it to its end.

    Attributes
    ----------
    model : DecisionModel
    since : datetime
        When it began to serve in this process.
    pointed : Pointed or None
        Its version in the registry; None for a model that was given by hand.
    alias : str
    source : {"registry", "last good copy"}
        Whether the registry was seen to name this version, or did not answer or names one that was refused.
    """

    model: DecisionModel
    since: datetime
    pointed: Pointed | None = None
    alias: str = CHAMPION
    source: Source = "registry"


@dataclass(frozen=True)
class Refused:
    """A version that did not pass its checks."""

    pointed: Pointed
    since: datetime
    told: str


class ServingState:
    """The model and the ledger of a worker, and what it knows of the registry.

    Parameters
    ----------
    model : DecisionModel, optional
        A model at hand, to serve without a registry.
    ledger : Ledger, optional
    serving_since : datetime, optional
    """

    def __init__(
        self,
        model: DecisionModel | None = None,
        ledger: Ledger | None = None,
        serving_since: datetime | None = None,
    ) -> None:
        self.serving = Serving(model, serving_since or datetime.now(UTC)) if model is not None else None
        self.ledger = ledger
        self.refused: Refused | None = None
        self.registry_down_since: datetime | None = None
        self.previous: deque[dict[str, Any]] = deque(maxlen=PREVIOUS_KEPT)
        self._settings: Settings | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._retry_at = 0.0
        self._said: dict[str, str] = {}
        self._asking = threading.Lock()
        self._ledger_answer = (0.0, False)

    # ------------------------------------------------------------------------------------------- what requests use

    @property
    def model(self) -> DecisionModel | None:
        """The model that serves now."""
        serving = self.serving
        return serving.model if serving is not None else None

    def required(self) -> tuple[DecisionModel, Ledger]:
        """The model and the ledger.

        Raises
        ------
        Problem
            503: one of them is not there yet.
        """
        model, ledger = self.model, self.ledger
        if model is None or ledger is None:
            raise Problem(503, "Not ready", "the model or the ledger is not loaded yet; try again in a few seconds")
        return model, ledger

    @property
    def ready(self) -> bool:
        """Whether decisions can be answered and recorded; the ledger is asked once a second at most."""
        return self.serving is not None and self._ledger_answers()

    def _ledger_answers(self) -> bool:
        if self.ledger is None:
            return False
        asked_at, answer = self._ledger_answer
        if time.monotonic() - asked_at < LEDGER_FRESH_SECONDS:
            return answer
        if not self._asking.acquire(blocking=False):
            # another question waits for an answer: a ledger that hangs must not take all threads
            return answer and time.monotonic() - asked_at < 2 * LEDGER_FRESH_SECONDS
        try:
            answer = self.ledger.answers()
            self._ledger_answer = (time.monotonic(), answer)
            metrics.ledger_answers(answer)
            fault = None if answer else f"ledger {self.ledger.name}: does not answer, or has other tables than ours"
            self._say("ledger", fault, "ledger: answers again")
        finally:
            self._asking.release()
        return answer

    # ------------------------------------------------------------------------------------------------ its own thread

    def start(self, settings: Settings | None = None) -> None:
        """Begin to load and to watch the registry, in a thread; `ready` tells when it can serve.

        Raises
        ------
        InputError
            A setting cannot be.
        """
        self._settings = settings or Settings.read()
        self._thread = threading.Thread(target=self._watch, name="propensity-models", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no more, and give back the ledger's connections."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)
        if self.ledger is not None:
            self.ledger.close()

    def _watch(self) -> None:
        assert self._settings is not None  # set by start
        self.turn(self._settings)
        _settle_memory()
        while True:
            if self._stopping.wait(self._settings.poll_seconds):
                return
            self.turn(self._settings)
            self._ledger_answers()  # also where nobody probes, it is seen that its tables became others

    def turn(self, settings: Settings) -> None:
        """Look once what ought to serve, and see to it; whatever fails is logged, and what serves goes on."""
        try:
            self._open_ledger(settings)
            self._follow_alias(settings)
        except (InputError, JobError) as error:
            self._say("turn", str(error))
        except sa.exc.SQLAlchemyError as error:
            self._say("turn", f"the ledger does not answer ({type(error).__name__})")
        except Exception as error:  # the thread must live
            self._say("turn", f"looking after models failed ({type(error).__name__})")
            logger.debug("Looking after models failed", exc_info=error)
        else:
            self._say("turn", None)

    def _open_ledger(self, settings: Settings) -> None:
        if self.ledger is not None:
            return
        ledger = Ledger(settings.ledger)
        try:
            self.ledger = ledger.open().grouped()
        except Exception:
            ledger.close()
            raise

    def _follow_alias(self, settings: Settings) -> None:
        try:
            pointed = look(settings.model, settings.alias)
        except (RegistryDown, InputError) as error:
            self._lose_registry(settings, error)
            return
        try:
            self._take_up(settings, pointed)
        except RegistryDown as error:  # it names a version and does not give its files
            self._lose_registry(settings, error)
        else:
            self._find_registry()

    def _take_up(self, settings: Settings, pointed: Pointed) -> None:
        """Serve the version that the alias points to, unless it serves already or was refused a short while ago."""
        serving = self.serving
        if serving is not None and pointed.is_same(serving.pointed):
            self.refused = None
            if serving.source != "registry":
                self._swap(replace(serving, source="registry"))
            return
        if self.refused is not None and pointed.is_same(self.refused.pointed) and time.monotonic() < self._retry_at:
            return
        try:
            self._load(settings, pointed)
        except ModelRefused as error:
            self._refuse(pointed, error)
        if self.serving is None:
            self._serve_copy(settings)

    def _load(self, settings: Settings, pointed: Pointed) -> None:
        """Serve a version: from its last good copy where there is one, else from the registry."""
        model = self._copied(settings, pointed)
        if model is not None:
            self._serve(settings, model, pointed, "registry")
            return
        with fetched(pointed) as logged:
            model = read_logged(logged, pointed.title)
            self._serve(settings, model, pointed, "registry")
            self._keep(settings, pointed, model_files(logged))

    def _copied(self, settings: Settings, pointed: Pointed) -> DecisionModel | None:
        """A version's model as its last good copy has it; None where there is no such copy, or it was changed."""
        try:
            copy = copies.last_good(settings.state, settings.alias, pointed.name)
            return _read(copy) if copy is not None and pointed.is_same(copy.pointed) else None
        except ModelRefused as error:  # of the copy; the registry has the files
            self._say("last good copy", str(error))
            return None

    def _serve(self, settings: Settings, model: DecisionModel, pointed: Pointed, source: Source) -> None:
        assert self.ledger is not None  # opened before
        try:
            require_approved(model.playbook, model.version, self.ledger)
        except ModelRefused as error:
            if not settings.allow_unapproved:
                raise
            self._say("unapproved", f"{error}; it serves all the same, as asked")
        require_sane_decisions(model)
        self._swap(Serving(model, datetime.now(UTC), pointed, settings.alias, source))
        metrics.model_loaded()
        self.refused = None if source == "registry" else self.refused
        logger.info("Model %s serves, from the %s", pointed.title, source)

    def _keep(self, settings: Settings, pointed: Pointed, files: Any) -> None:
        try:
            copies.keep(settings.state, settings.alias, pointed, files)
        except (OSError, InputError, ValueError) as error:
            self._say("copy", f"model {pointed.title}: no copy of it could be kept in {settings.state} ({error})")
        else:
            self._say("copy", None)

    def _serve_copy(self, settings: Settings) -> None:
        """With nothing else to serve, serve what served last."""
        try:
            copy = copies.last_good(settings.state, settings.alias, settings.model)
            if copy is None:
                return
            self._serve(settings, _read(copy), copy.pointed, "last good copy")
        except ModelRefused as error:
            self._say("last good copy", str(error))

    def _swap(self, serving: Serving) -> None:
        before, self.serving = self.serving, serving
        pointed = serving.pointed
        assert pointed is not None  # only models of the registry are swapped in
        old = before.pointed if before is not None else None
        if before is not None and not pointed.is_same(old):
            self.previous.append({**described(before), "until": serving.since.isoformat()})
        metrics.model_serves(
            pointed.name,
            pointed.version,
            serving.since,
            pointed.registered_at,
            from_copy=serving.source != "registry",
            instead_of=(old.name, old.version) if old is not None else None,
        )

    def _refuse(self, pointed: Pointed, error: ModelRefused) -> None:
        self._retry_at = time.monotonic() + RETRY_REFUSED_SECONDS
        before = self.refused
        if before is not None and pointed.is_same(before.pointed) and before.told == error.told:
            return
        self.refused = Refused(pointed, datetime.now(UTC), error.told)
        metrics.model_refused()
        logger.error("Refused: %s", error)

    def _lose_registry(self, settings: Settings, error: Exception) -> None:
        if self.registry_down_since is None:
            self.registry_down_since = datetime.now(UTC)
        metrics.registry_answers(False)
        self._say("registry", str(error))
        if self.serving is None:
            self._serve_copy(settings)

    def _find_registry(self) -> None:
        self.registry_down_since = None
        metrics.registry_answers(True)
        self._say("registry", None, "MLflow: answers again")

    def _say(self, about: str, what: str | None, when_over: str | None = None) -> None:
        """Log a fault once, and, where words are given, that it is over."""
        before = self._said.get(about)
        if what == before:
            return
        if what is not None:
            self._said[about] = what
            logger.warning("%s", what)
        else:
            del self._said[about]
            if when_over is not None:
                logger.info("%s", when_over)


def described(serving: Serving) -> dict[str, Any]:
    """A model that serves, as `GET /v1/models` tells it."""
    model, pointed = serving.model, serving.pointed
    return {
        "name": pointed.name if pointed else None,
        "version": pointed.version if pointed else None,
        "model_version": model.version,
        "mode": model.mode,
        "playbook": model.playbook.name,
        "playbook_version": model.playbook.version,
        "alias": serving.alias,
        "registered_at": pointed.registered_at.isoformat() if pointed and pointed.registered_at else None,
        "serving_since": serving.since.isoformat(),
        "source": serving.source if pointed else None,
    }


def _settle_memory() -> None:
    """What is loaded by now stays: the garbage collector need not look at it again for every request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    gc.enable()


def _read(copy: copies.Copy) -> DecisionModel:
    """The model of a copy; `ModelRefused` if it is not what was kept."""
    copy.require_intact()
    assert copy.pointed.directory is not None  # a copy has one
    return read_model(copy.pointed.directory, copy.pointed.title)
