"""What the service is told by its environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from propensity.errors import InputError
from propensity.registered import CHAMPION

LEDGER_VARIABLE = "PROPENSITY_LEDGER"
MODEL_VARIABLE = "PROPENSITY_MODEL"
ALIAS_VARIABLE = "PROPENSITY_ALIAS"
UNAPPROVED_VARIABLE = "PROPENSITY_UNAPPROVED_PLAYBOOK"
"""1 lets the service decide by a playbook that nobody approved."""
NO_KEYS_VARIABLE = "PROPENSITY_NO_KEYS"
"""1 lets everybody on this machine in."""
POLL_VARIABLE = "PROPENSITY_POLL_SECONDS"
STATE_VARIABLE = "PROPENSITY_STATE"
DEFAULT_LEDGER = "sqlite:///ledger.db"
DEFAULT_POLL_SECONDS = 5.0


@dataclass(frozen=True)
class Settings:
    """What the service is told.

    Attributes
    ----------
    ledger : str
        Address of the ledger.
    model : str or None
        Name of the registered model; None: the only one.
    alias : str
    allow_unapproved : bool
    poll_seconds : float
        Between two looks at the registry.
    state : Path
        Directory of the last good copy.
    asks_for_keys : bool
    """

    ledger: str
    model: str | None
    alias: str
    allow_unapproved: bool
    poll_seconds: float
    state: Path
    asks_for_keys: bool = True

    @classmethod
    def read(cls) -> Settings:
        """From the environment.

        Raises
        ------
        InputError
            A setting cannot be.
        """
        ledger = os.environ.get(LEDGER_VARIABLE) or DEFAULT_LEDGER
        named = os.environ.get(STATE_VARIABLE)
        return cls(
            ledger=ledger,
            model=os.environ.get(MODEL_VARIABLE) or None,
            alias=os.environ.get(ALIAS_VARIABLE) or CHAMPION,
            allow_unapproved=os.environ.get(UNAPPROVED_VARIABLE) == "1",
            poll_seconds=_poll_seconds(),
            state=Path(named) if named else default_state(ledger),
            asks_for_keys=os.environ.get(NO_KEYS_VARIABLE) != "1",
        )


def default_state(ledger: str) -> Path:
    """``.propensity`` beside a ledger's file; in the working directory where the ledger is on a server."""
    url = urlsplit(ledger)
    file = unquote(url.path.removeprefix("/")) if url.scheme.startswith("sqlite") else ""
    return Path(file).parent / ".propensity"


def _poll_seconds() -> float:
    text = os.environ.get(POLL_VARIABLE) or str(DEFAULT_POLL_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise InputError(f"{POLL_VARIABLE} {text}: expected seconds between 0.1 and 3600")
    return seconds
