"""Parts of `benchmarks/peers.py`: the problems, the competitors, how they are judged, the report."""
