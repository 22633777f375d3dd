"""The notebooks run from the first cell to the last, and are kept without what they printed."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE_S

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
#: notebook -> the file that its last cells write
WRITTEN = {"before_training": "report.html", "digits": "digits.so"}

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_every_notebook_is_shown() -> None:
    """In the README and in the documentation."""
    assert {path.stem for path in NOTEBOOKS} == set(WRITTEN)
    for page in ("README.md", "docs/index.md"):
        assert all(f"notebooks/{path.name}" in (ROOT / page).read_text() for path in NOTEBOOKS), page


@notebooks
def test_outputs_are_left_out(path: Path) -> None:
    """They would change with every machine, and hide what a cell really does."""
    cells = json.loads(path.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 3
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []
    assert path.stat().st_size < 20_000


@pytest.mark.slow
@notebooks
def test_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any cell that raises ends it."""
    missing = [name for name in ("nbclient", "ipykernel") if find_spec(name) is None]
    assert not missing, f"{', '.join(missing)}: not installed; pip install '.[notebooks]'"
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    resources = {"metadata": {"path": str(tmp_path)}}
    done = NotebookClient(book, timeout=PATIENCE_S, kernel_name="python3", resources=resources).execute()
    assert (tmp_path / WRITTEN[path.stem]).stat().st_size > 1000
    assert "sparse" in printed(done)


def printed(book: Any) -> str:
    """What all cells wrote and returned."""
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(str(output.get("text", "")) + str(output.get("data", "")) for output in outputs)
