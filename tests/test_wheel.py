"""The wheel alone, with NumPy and rich and nothing else: it runs libraries, and type checkers see its types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import kernels_c
import numpy as np
import pytest
from patience import PATIENCE_S

ROOT = Path(__file__).parent.parent
#: what `pip install sparsecc` brings
BROUGHT = ("numpy", "rich", "pygments", "markdown-it-py", "mdurl")

LOADED = """
import sys
import numpy as np
import sparsecc
library = sparsecc.load("tiny.so", threads=1)
np.save("x.npy", np.ones(library.inputs[0].shape, np.float32))
assert sparsecc.__file__.startswith(sys.argv[1]), sparsecc.__file__
assert library(np.load("x.npy")).shape == library.outputs[0].shape
try:
    sparsecc.compile
except sparsecc.errors.UserError as error:
    assert "pip install '.[compiler]'" in str(error)
else:
    raise AssertionError("there is a compiler")
"""
TYPED = """
import sparsecc
library = sparsecc.load("model.so", threads="two")
library.nothing
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the wheel, as pip unpacks it, and what it asks for."""
    assert find_spec("build"), "not installed: pip install '.[release]'"
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=PATIENCE_S)
    venv = [sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")]
    subprocess.run(venv, check=True, capture_output=True, timeout=PATIENCE_S)
    (packages,) = (folder / "venv" / "lib").glob("python3*/site-packages")
    (wheel,) = folder.glob("sparsecc-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    for name in BROUGHT:
        for path in Path(str(distribution(name).locate_file(""))).glob(
            f"{name.removesuffix('-py').replace('-', '_')}*"
        ):
            (packages / path.name).symlink_to(path)
    return folder / "venv" / "bin" / "python"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kernels_c.link(kernels_c.tiny(), tmp_path / "tiny.so")
    return tmp_path


def alone(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the environment's Python."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(
        [str(python), *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )


@pytest.mark.slow
def test_it_runs_libraries(python: Path, folder: Path) -> None:
    done = alone(python, folder, "-c", LOADED, str(python.parent.parent))
    assert (done.returncode, done.stderr) == (0, "")
    done = alone(python, folder, "-m", "sparsecc", "run", "tiny.so", "--input", "x.npy", "--output", "y.npy")
    assert (done.returncode, done.stderr) == (0, "")
    assert np.load(folder / "y.npy").size > 0
    done = alone(python, folder, "-m", "sparsecc", "bench", "tiny.so", "--runs", "5")
    assert done.returncode == 0, done.stderr
    assert "median" in done.stdout
    done = alone(python, folder, "-m", "sparsecc", "doctor", "--json")
    rows = {row["name"]: row["installed"] for row in json.loads(done.stdout)["packages"]}
    assert (rows["numpy"], rows["torch"]) == (np.__version__, None)


@pytest.mark.slow
def test_type_checkers_see_types(python: Path, folder: Path) -> None:
    (folder / "typed.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "typed.py"]
    environment = {name: value for name, value in os.environ.items() if name not in ("MYPYPATH", "PYTHONPATH")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert 'Argument "threads" to "load" has incompatible type "str"; expected "int | None"' in done.stdout, done.stdout
    assert '"Library" has no attribute "nothing"' in done.stdout
