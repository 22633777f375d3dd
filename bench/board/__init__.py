"""Timings on a board by whoever has one: a folder to copy there, and a table of the records that come back."""
