"""Runs ONNX's own node tests, and writes what becomes of them: ``make docs-onnx``, which takes half an hour.

``docs/make_operators.py`` makes a table of it, and a slow test holds it against what is so.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx_case import PASSED, node_tests, outcomes

DATA = Path(__file__).with_name("onnx_node_tests.json")


def write(found: Mapping[str, str]) -> None:
    """Tests that pass, and reasons with the tests that are refused for them."""
    reasons: dict[str, list[str]] = {}
    for name, reason in found.items():
        reasons.setdefault(reason, []).append(name)
    passed = reasons.pop(PASSED, [])
    data = {"onnx": onnx.__version__, "passed": passed, "refused": reasons}
    DATA.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write(outcomes(node_tests(), Path(folder)))
