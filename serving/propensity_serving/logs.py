"""Log lines as JSON, one object a line, with nothing in them of what callers sent."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from propensity_serving.edge.asked import ASKED
from propensity_serving.problems import place

OURS = "propensity"


class JsonLines(logging.Formatter):
    """A record as JSON: time, level, logger, event, what is known of the request, and the record's own fields.

    Of other libraries' records only the first line of the constant text is told, and of a fault its type and place:
    values and messages could hold a customer's data.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        ours = record.name.split(".", 1)[0] == OURS
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage() if ours else str(record.msg).partition("\n")[0],
        }
        asked = ASKED.get()
        if asked is not None:
            line |= {"route": asked.rule.template, "key": asked.key, "request_id": asked.request_id}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line |= {"fault": record.exc_info[0].__name__, "place": place(record.exc_info[2])}
        return json.dumps(line)


def configure_logs() -> None:
    """Let all that this process logs go to standard error as JSON; what others say below a warning is left out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.WARNING)
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.handlers, logger.propagate = [], True
            if logger.level and logger.level < logging.WARNING:
                logger.setLevel(logging.WARNING)
    logging.getLogger(OURS).setLevel(logging.INFO)
    # it would print each request's path
    logging.getLogger("uvicorn.access").disabled = True
