"""Measurements of sparsecc alone: its choices, its predictions, its patterns, its compile time."""
