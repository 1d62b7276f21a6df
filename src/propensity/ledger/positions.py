"""Finds millions of ids among millions, again and again: the table to look in is made once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_WORD = 8
_FACTORS = tuple(np.uint64(x) for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Positions:
    """Positions of distinct texts, found by a hash and then compared, so that a collision does no harm.

    Parameters
    ----------
    texts : Arrow array of strings (n,)
        All different, none missing.
    table : _Table, optional
        Of their hashes, where somebody has made it.
    """

    def __init__(self, texts: pa.Array, table: _Table | None = None) -> None:
        self.texts = texts
        self._made = table

    @cached_property
    def _table(self) -> _Table | None:
        """The hashes; None where two texts share one: almost never, and then the slow way is right."""
        table = _Table(_hashes(self.texts)) if self._made is None else self._made
        return table if table.distinct else None

    def __len__(self) -> int:
        return len(self.texts)

    def of(self, texts: pa.Array) -> np.ndarray:
        """Position of each text (m,), int32; -1 where it is not there or missing."""
        if not len(self.texts):
            return np.full(len(texts), -1, dtype=np.int32)
        if self._table is None:
            return _filled(pc.index_in(texts, value_set=self.texts, skip_nulls=True))
        found = self._table.find(_hashes(texts))
        found[~self.same(texts, found)] = -1
        return found

    def same(self, texts: pa.Array, positions: np.ndarray) -> np.ndarray:
        """Whether each text (m,) is the one at a position (m,); never at -1 nor where it is missing."""
        there = pc.equal(self.texts.take(pa.array(np.maximum(positions, 0))), texts)
        same: np.ndarray = pc.fill_null(there, False).to_numpy(zero_copy_only=False) & (positions >= 0)
        return same


def numbered(texts: pa.Array) -> tuple[Positions, np.ndarray]:
    """The distinct ones of texts (n,), none missing, in the order in which they come; and which each text is, int32."""
    hashes = _hashes(texts)
    table = _Table(hashes)
    if table.distinct:
        return Positions(texts, table), np.arange(len(texts), dtype=np.int32)
    earliest = table.find(hashes)
    first = earliest == np.arange(len(texts))
    again = np.flatnonzero(~first)
    if not Positions(texts).same(texts.take(pa.array(again)), earliest[again]).all():
        coded = texts.dictionary_encode()
        return Positions(coded.dictionary), _filled(coded.indices)
    number = (np.cumsum(first) - 1).astype(np.int32)
    return Positions(texts.filter(pa.array(first))), number[earliest]


class _Table:
    """Finds each of n hashes: slots that are tried one after another until the hash or an empty one is found.

    Attributes
    ----------
    distinct : bool
        Whether no two are the same.
    """

    def __init__(self, hashes: np.ndarray) -> None:
        n = len(hashes)
        self._hashes = hashes
        self._mask = (1 << int(2 * n).bit_length()) - 1
        self._slots = np.full(self._mask + 1, -1, dtype=np.int32)
        self.distinct = True
        # of several that are written to a slot the last stays: the first of those that are the same
        waiting = np.arange(n, dtype=np.int32)[::-1]
        slot = hashes[waiting] & self._mask
        while len(waiting):
            free = self._slots[slot] < 0
            self._slots[slot[free]] = waiting[free]
            there = self._slots[slot]
            settled = hashes[there] == hashes[waiting]
            self.distinct &= bool((there == waiting)[settled].all())
            waiting, slot = waiting[~settled], (slot[~settled] + 1) & self._mask

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """Position of each of other hashes (m,), int32; -1 where it is not there."""
        slot = hashes & self._mask
        found = self._slots[slot]
        other = np.flatnonzero((self._hashes[found] != hashes) & (found >= 0))
        slot = slot[other]
        while len(other):
            slot = (slot + 1) & self._mask
            there = self._slots[slot]
            found[other] = there
            on = (self._hashes[there] != hashes[other]) & (there >= 0)
            other, slot = other[on], slot[on]
        return found


def _filled(indices: pa.Array) -> np.ndarray:
    return pc.fill_null(indices, -1).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)


def _hashes(texts: pa.Array) -> np.ndarray:
    """A hash (n,) of each text, eight bytes at a time (after SplitMix64, Steele, Lea and Flood 2014)."""
    texts = pa.concat_arrays([pc.fill_null(texts, "")])
    _, offsets, letters = texts.buffers()
    ends = np.frombuffer(offsets, np.int32, len(texts) + 1).astype(np.int64)
    start, length = ends[:-1], np.diff(ends)
    written = np.frombuffer(letters, np.uint8) if letters is not None else np.empty(0, np.uint8)
    padded = np.concatenate([written, np.zeros(_WORD, np.uint8)])
    # a word of eight bytes from each byte on
    words = np.ndarray((len(padded) - _WORD + 1,), np.uint64, padded, strides=(1,))
    mixed = length.astype(np.uint64) * _FACTORS[0]
    for done in range(0, int(length.max(initial=0)), _WORD):
        left = np.clip(length - done, 0, _WORD).astype(np.uint64)
        kept = np.where(left == _WORD, ~np.uint64(0), (np.uint64(1) << (left * np.uint64(8))) - np.uint64(1))
        further = (mixed ^ (words[np.minimum(start + done, len(words) - 1)] & kept)) * _FACTORS[1]
        further = (further ^ (further >> np.uint64(29))) * _FACTORS[2]
        # a text's hash must not depend on how long others are
        mixed = np.where(left > 0, further ^ (further >> np.uint64(32)), mixed)
    return mixed.view(np.int64)
