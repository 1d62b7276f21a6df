"""What a request passes before BentoML and the application see it, and an answer after them.

The log, the form and headers of answers, faults, limits, and who may pass: outside of BentoML, so that its own routes
and errors are covered.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp

from propensity_serving.edge.answers import Answers
from propensity_serving.edge.guard import Guard
from propensity_serving.edge.keyring import Keyring
from propensity_serving.edge.limits import Limits
from propensity_serving.edge.paths import HiddenPath, RealPath
from propensity_serving.edge.request_log import RequestLog
from propensity_serving.problems import Faults

__all__ = ["HiddenPath", "Keyring", "RealPath", "guarded"]


def guarded(app: ASGIApp, keys: Keyring | None, secrets: Sequence[bytes] = ()) -> ASGIApp:
    """An application with its edge.

    Parameters
    ----------
    app : ASGI application
    keys : Keyring or None
        None lets everybody on this machine in: for development.
    secrets : sequence of bytes
        Of webhooks' senders.
    """
    return RequestLog(Answers(Faults(Limits(Guard(app, keys, secrets)))))
