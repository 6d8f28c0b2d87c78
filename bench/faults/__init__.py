"""Proof that nothing is lost and nothing done twice: faults are made on purpose, and the history is checked afterwards.

`python -m bench.faults chaos`, `broker`, `points` (see docs/reliability.md).
"""
