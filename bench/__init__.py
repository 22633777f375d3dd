"""Benchmarks of sparsecc against other engines; bench/README.md says how to run them and by which rules."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# `python -m bench...` works from a clone: the networks live in examples/, which is not installed
if str(ROOT / "examples") not in sys.path:
    sys.path.insert(1, str(ROOT / "examples"))
