"""Removes channels that are the same for every input, and those that nobody reads."""

from sparsecc.shrink.stage import shrink

__all__ = ["shrink"]
