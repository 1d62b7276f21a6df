"""The BentoML service: workers, lifecycle, metrics and packaging around the application."""

from __future__ import annotations

import os

# read when BentoML is imported: nothing leaves this machine
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml

from propensity_serving.app import build_app
from propensity_serving.front import FrontPage
from propensity_serving.state import ServingState

state = ServingState()


# BentoML keeps every request alive for the whole time-out, so it is short
@bentoml.service(name="propensity", traffic={"timeout": 10})
class PropensityService:
    """Decides for campaign tools."""

    def __init__(self) -> None:
        state.load()

    def __is_ready__(self) -> bool:
        return state.ready


PropensityService.add_asgi_middleware(FrontPage)
PropensityService.mount_asgi_app(build_app(state), path="/")
