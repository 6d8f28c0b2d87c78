"""What the product costs: `python -m bench` (see docs/performance.md)."""
