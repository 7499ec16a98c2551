"""The rules: pure, synchronous functions over plain values.

Standard library only; no clock, no randomness, no I/O. Everything else may import it.
"""
