"""Millions of JSON objects as a table of Arrow, one column a key."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj


def objects(texts: pa.Array) -> pa.Table:
    """JSON objects (n,) as a table of one column a key, missing where an object has none."""
    absent = pc.fill_null(pc.equal(texts, "null"), True)
    if pc.any(absent).as_py():
        texts = pc.if_else(absent, "{}", texts)
    lines = _lines(texts)
    if not lines:
        return pa.table({})
    try:
        options = pj.ReadOptions(use_threads=False, block_size=len(lines) + 1)
        return pj.read_json(pa.BufferReader(lines), read_options=options)
    except pa.ArrowInvalid:
        # a key whose values are of several kinds
        rows = [{key: _one_kind(value) for key, value in json.loads(text).items()} for text in texts.to_pylist()]
        return pa.Table.from_pylist(rows)


def _lines(texts: pa.Array) -> bytes:
    if not len(texts):
        return b""
    together = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    joined = pc.binary_join(together, "\n")
    return bytes(joined[0].as_buffer())


def _one_kind(value: object) -> object:
    return float(value) if isinstance(value, (bool, int)) else value
