"""The BentoML service: workers, lifecycle, metrics and packaging around the application and its edge.

BentoML's parent process imports this module too, only to learn the service's name: what workers need is imported when a
worker begins.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time
from functools import cache
from typing import TYPE_CHECKING

# read when BentoML is imported: nothing leaves this machine
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

from propensity.threads import one_thread_for_algebra
from propensity_serving.settings import NO_KEYS_VARIABLE

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from propensity_serving.state import ServingState

ORPHAN_SECONDS = 1.0
"""Between two looks whether the parent process is still there."""

logger = logging.getLogger("propensity.serving")
SWITCH_SECONDS = 0.0005
"""After which a thread gives way to another that waits; Python's own 5 ms would be most of an answer's time."""
one_thread_for_algebra()


@cache
def _state() -> ServingState:
    """What this worker holds."""
    from propensity_serving.state import ServingState

    return ServingState()


def _end_with(parent: int) -> None:
    """End this worker when its parent is gone, killed for want of memory perhaps: it would keep the port from the next.

    It ends as if it were told to, after answering what it was asked.
    """
    while os.getppid() == parent:
        time.sleep(ORPHAN_SECONDS)
    logger.error("the parent process is gone; this worker ends")
    os.kill(os.getpid(), signal.SIGTERM)


class GuardedService(bentoml.Service):
    """A service with an edge outside of BentoML's own routes, metrics and errors, where its middleware cannot be."""

    __slots__ = ()

    def furnish(self) -> None:
        """Mount what a worker serves; the parent serves nothing, and need not import it."""
        from propensity_serving.app import build_app
        from propensity_serving.edge import RealPath
        from propensity_serving.front import FrontPage

        self.add_asgi_middleware(RealPath)
        self.add_asgi_middleware(FrontPage)
        self.mount_asgi_app(build_app(_state()), path="/")

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """The whole of a worker; without the edge there is none."""
        # while modules are imported and the first model is loaded there is no garbage; the state turns it on again
        gc.disable()
        # the thread that talks to callers gets its turn soon, also while another one decides
        sys.setswitchinterval(SWITCH_SECONDS)
        from propensity_serving.edge import HiddenPath, Keyring, guarded
        from propensity_serving.edge.webhooks import read_secrets
        from propensity_serving.logs import configure_logs
        from propensity_serving.metric_files import reserve

        configure_logs()
        reserve()
        threading.Thread(target=_end_with, args=(os.getppid(),), name="propensity-parent", daemon=True).start()
        state = _state()
        keys = None if os.environ.get(NO_KEYS_VARIABLE) == "1" else Keyring(lambda: state.required()[1])
        if keys is None:
            logger.warning("no keys are asked for: whoever is on this machine may do everything; for development")
        self.furnish()
        return guarded(HiddenPath(super().to_asgi(is_main)), keys, read_secrets())


def _end_with_parent(parent: int) -> None:
    """Stop this worker when its parent was killed: nobody else would, and it would keep the port."""
    while os.getppid() == parent:
        time.sleep(1)
    logger.error("the server's parent process is gone; this worker ends")
    os.kill(os.getpid(), signal.SIGTERM)


# BentoML keeps every request alive for the whole time-out, so it is short; its own access log would print paths
@bentoml.service(
    name="propensity",
    service_class=GuardedService,
    traffic={"timeout": 10},
    logging={"access": {"enabled": False}},
)
class PropensityService:
    """Decides for campaign tools."""

    def __init__(self) -> None:
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
        try:
            _state().start()
        except Exception as error:
            # the server tells no message of a fault; this one comes before any customer does
            logger.error("the worker cannot start: %s", error)
            raise
        logger.info("started")

    def __is_ready__(self) -> bool:
        return _state().ready

    def __metrics__(self, told: str) -> str:
        from propensity_serving import metrics

        return metrics.text().decode()

    @bentoml.on_shutdown
    def stop(self) -> None:
        """Watch the registry no more."""
        _state().stop()
