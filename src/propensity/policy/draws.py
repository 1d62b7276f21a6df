"""Draws that depend on who a person is and nothing else: the same person gets the same draw everywhere, always."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import pandas as pd


def uniform_draws(keys: Iterable[str], *salt: str) -> np.ndarray:
    """One number in [0, 1) for each key.

    Parameters
    ----------
    keys : iterable of str (n,)
    *salt : str
        What the draw is for; different salts give independent draws.

    Returns
    -------
    array (n,)
        The first 53 bits of BLAKE2b(salt, key), so that any other system can repeat the draw.
    """
    prefix = hashlib.blake2b("\x1f".join(salt).encode(), digest_size=8)
    digests = bytearray()
    for key in _texts(keys):
        digest = prefix.copy()
        digest.update(b"\x1f" + key.encode())
        digests += digest.digest()
    return (np.frombuffer(digests, dtype=">u8") >> np.uint64(11)).astype(np.float64) / 2.0**53


def window_number(at: pd.Timestamp, window_days: float) -> int:
    """Number of the decision window that holds ``at``, counted from 1970 (UTC)."""
    elapsed = at.tz_convert("UTC") - pd.Timestamp("1970-01-01", tz="UTC")
    return int(elapsed / pd.Timedelta(days=window_days))


def window_end(number: int, window_days: float) -> pd.Timestamp:
    """When a decision window ends, UTC."""
    return pd.Timestamp("1970-01-01", tz="UTC") + pd.Timedelta(days=(number + 1) * window_days)


def decision_keys(customer_id: Iterable[str], campaign: str, window: int) -> list[str]:
    """Decision ids (n,): the same for the same customer, campaign and decision window."""
    prefix = f"{campaign}\x1f{window}\x1f"
    return [hashlib.blake2b((prefix + c).encode(), digest_size=16).hexdigest() for c in _texts(customer_id)]


def _texts(keys: Iterable[str]) -> Iterable[str]:
    # one call for all is many times faster than one for each, where pandas keeps texts in a store of its own
    return map(str, keys.tolist() if isinstance(keys, pd.Series) else keys)
