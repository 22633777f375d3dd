"""Removes channels that are the same for every input, and those that nobody reads."""

from sparsecc.rewrite.shrink.stage import shrink

__all__ = ["shrink"]
