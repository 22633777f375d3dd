"""Damaged files and random networks: what must end right, or as an error of ours.

``python -m fuzz`` runs it (``make fuzz``), ``tests/test_fuzz.py`` a minute of it. A case is one seed of one kind; it
runs in a process of its own, so that a crash, a hang or an exhausted memory is an outcome like any other.
"""
