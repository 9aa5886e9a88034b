"""Measurements, side by side in one run; never tests. ``python -m benchmarks [NAME…]``."""
