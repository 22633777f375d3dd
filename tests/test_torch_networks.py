"""Ten networks of timm under ``torch.compile(model, backend="sparsecc")``: eager's results, and kept libraries.

Without timm the tests fail: `pip install --no-deps` of the extra ``package-networks``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE_S

from sparsecc.build.toolchain import CC_VARIABLE

ROOT = Path(__file__).parent.parent
PLACES = (ROOT, ROOT / "tests", ROOT / "examples")
NETS = (
    "convnext_atto", "densenet121", "efficientnet_b0", "ghostnet_050", "mobilenetv3_small_050", "mobilevit_xxs",
    "regnety_002", "repvgg_a0", "resnet18", "vit_tiny_patch16_224",
)  # fmt: skip

#: all of a network's graphs are served, and its results are eager's but for rounding
SERVED = """
import sys, warnings, torch
from package_case import made
from sparsecc.errors import FallbackWarning
warnings.simplefilter("error", FallbackWarning)
model, inputs = made("timm: " + sys.argv[1])
with torch.no_grad():
    expected = model(*inputs)
    found = torch.compile(model, backend="sparsecc", options={"threads": 1})(*inputs)
assert found.shape == expected.shape
difference = float((found - expected).abs().max() / expected.abs().max())
assert difference <= 1e-4, f"{difference:.1e} of the largest output"
assert "sparsecc.pytorch.backend" in sys.modules
"""
#: an operator that is none of the compiler's, behind a network of timm
REFUSED = """
import sys, warnings, torch
from package_case import made
from sparsecc.errors import FallbackWarning
model, inputs = made("timm: " + sys.argv[1])
class Inverted(torch.nn.Module):
    def forward(self, y):
        return torch.linalg.pinv(y)
model = torch.nn.Sequential(model, Inverted())
compiled = torch.compile(model, backend="sparsecc")
with torch.no_grad(), warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    for _ in range(2):
        torch.testing.assert_close(compiled(*inputs), model(*inputs))
for one in said:
    if issubclass(one.category, FallbackWarning):
        print(one.message)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """In which PyTorch finds the backend by its name, as where the package is installed, and libraries are kept."""
    text = (ROOT / "pyproject.toml").read_text()
    found = re.search(r'\[project\.entry-points\."(\w+)"\]\nsparsecc = "(.*)"\n', text)
    assert found is not None
    info = tmp_path / "installed" / "sparsecc-0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sparsecc\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[{found[1]}]\nsparsecc = {found[2]}\n")
    (tmp_path / "cache").mkdir()
    path = os.pathsep.join(map(str, (info.parent, *PLACES)))
    return {**os.environ, "PYTHONPATH": path, "SPARSECC_CACHE": str(tmp_path / "cache")}


def run(program: str, name: str, environment: dict[str, str]) -> str:
    """What a program prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, name], env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(environment: dict[str, str]) -> dict[str, int]:
    """Files of the cache and what they are on the disk."""
    return {entry.name: entry.inode() for entry in os.scandir(environment["SPARSECC_CACHE"])}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_network(name: str, environment: dict[str, str]) -> None:
    """A second process takes the library that the first one compiled: it could not link another one."""
    run(SERVED, name, environment)
    libraries = kept(environment)
    assert len(libraries) == 1
    run(SERVED, name, {**environment, CC_VARIABLE: "/no/compiler"})
    assert kept(environment) == libraries


@pytest.mark.slow
def test_an_operator_that_is_not_compiled(environment: dict[str, str]) -> None:
    """The network runs in PyTorch, and one warning says why, whatever the number of calls."""
    (line,) = run(REFUSED, "resnet18", environment).splitlines()
    assert re.fullmatch(r"torch.compile: a graph of \d+ nodes runs in PyTorch: .*pinv.*", line)
    assert not kept(environment)
