"""A candidate that computes something else: kept for a report, never recorded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from sparsecc.dump import Dump
from sparsecc.kernels.config import Config
from sparsecc.lower import stored as configs
from sparsecc.text import file_stem, printable
from sparsecc.tuning.tasks import Task
from sparsecc.tuning.timing import Failure


def write_bug(task: Task, config: Config, failure: Failure, *, folder: Path) -> str:
    """Write the layer, the config and the kernel to ``folder``.

    Returns
    -------
    str
        What to tell the user.
    """
    facts = {"layer": task.key.to_json(), "config": configs.to_json(config), "target": task.target.name}
    text = json.dumps({**facts, "found": failure.message}, indent=1)
    name = f"{file_stem(task.names[0])}_{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    dump = Dump(folder)
    dump.text(name, text + "\n", suffix=".json")
    dump.functions(name, {node.key: made.function for node, made in task.candidate(config).steps})
    return f"layer {printable(task.names[0])}: a candidate {failure.message}; please report {folder}/{name}.*"
