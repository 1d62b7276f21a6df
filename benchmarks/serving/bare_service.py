"""What decisions are compared with: a Starlette route mounted in BentoML that runs the same LightGBM predictions alone.

The rows of each customer are made before the server is ready; a request names the customer by a number. Every booster
is asked once, with one thread, as many rows as the decision needs.
"""

from __future__ import annotations

import itertools
import os

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml
import pandas as pd
from decide_scale import needed
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from propensity.model import DecisionModel

PREPARED: list[list[tuple[object, object]]] = []
_numbers = itertools.count()


async def predict(request: Request) -> Response:
    await request.body()
    person = PREPARED[next(_numbers) % len(PREPARED)]
    found = [booster.predict(rows, num_threads=1, raw_score=True).tolist() for booster, rows in person]  # type: ignore[attr-defined]
    return JSONResponse({"predictions": found})


@bentoml.service(name="bare", traffic={"timeout": 10})
class Bare:
    """Predictions alone."""

    def __init__(self) -> None:
        model = DecisionModel.load(os.environ["BARE_MODEL"])
        people = pd.read_parquet(os.environ["BARE_CUSTOMERS"])
        for i in range(len(people)):
            PREPARED.append(list(needed(model, people.iloc[[i]])))


Bare.mount_asgi_app(Starlette(routes=[Route("/v1/decisions", predict, methods=["POST"])]), path="/")
