"""The BentoML service: workers, lifecycle and packaging around the application.

BentoML's parent process imports this module too, only to learn the service's name: what the workers need is imported
when a worker begins.
"""

from __future__ import annotations

import gc
import os

# read when BentoML is imported: nothing leaves this machine
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

from propensity.threads import one_thread_for_algebra
from propensity_serving.front import FrontPage
from propensity_serving.lazy import LateApp

one_thread_for_algebra()
_application = LateApp()


# BentoML keeps every request alive for the whole time-out, so it is short; its own metrics and access log tell paths as
# they were asked, with customers' ids in them, so /metrics is the application's
@bentoml.service(
    name="propensity",
    traffic={"timeout": 10},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class PropensityService:
    """Decides for campaign tools."""

    def __init__(self) -> None:
        # while modules are imported and the first model is loaded there is no garbage; the state turns it on again
        gc.disable()
        from propensity_serving.app import build_app
        from propensity_serving.state import ServingState

        self._state = ServingState()
        _application.become(build_app(self._state))
        self._state.start()

    def __is_ready__(self) -> bool:
        return self._state.ready

    @bentoml.on_shutdown
    def stop(self) -> None:
        """Watch the registry no more."""
        self._state.stop()


PropensityService.add_asgi_middleware(FrontPage)
PropensityService.mount_asgi_app(_application, path="/")
