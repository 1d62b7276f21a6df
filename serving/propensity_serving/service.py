"""The BentoML service: workers, lifecycle, metrics and packaging around the application."""

from __future__ import annotations

import logging
import os

# read when BentoML is imported: nothing leaves this machine
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml
from starlette.types import ASGIApp

from propensity_serving.app import build_app
from propensity_serving.edge import HiddenPath, Keyring, RealPath, guarded
from propensity_serving.edge.webhooks import read_secrets
from propensity_serving.front import FrontPage
from propensity_serving.logs import configure_logs
from propensity_serving.state import NO_KEYS_VARIABLE, ServingState

logger = logging.getLogger("propensity.serving")
state = ServingState()


class GuardedService(bentoml.Service):
    """A service with an edge outside of BentoML's own routes, metrics and errors, where its middleware cannot be."""

    __slots__ = ()

    def to_asgi(self, is_main: bool = True) -> ASGIApp:
        """The whole of a worker; without the edge there is none."""
        configure_logs()
        keys = None if os.environ.get(NO_KEYS_VARIABLE) == "1" else Keyring(lambda: state.required()[1])
        if keys is None:
            logger.warning("no keys are asked for: whoever is on this machine may do everything; for development")
        return guarded(HiddenPath(super().to_asgi(is_main)), keys, read_secrets())


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
        try:
            state.load()
        except Exception as error:
            # the server tells no message of a fault; this one comes before any customer does
            logger.error("the worker cannot start: %s", error)
            raise
        logger.info("started")

    def __is_ready__(self) -> bool:
        return state.ready


PropensityService.add_asgi_middleware(RealPath)
PropensityService.add_asgi_middleware(FrontPage)
PropensityService.mount_asgi_app(build_app(state), path="/")
