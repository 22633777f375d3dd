"""The environments of engines that can't share ours; ``bench.rivals.setup`` makes them below ``bench/environments``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench import ROOT

#: where environments are made
_MADE = ROOT / "bench" / "environments"
_PINS = Path(__file__).resolve().parent / "pins"


@dataclass(frozen=True)
class Environment:
    """A folder with a Python of its own.

    Attributes
    ----------
    name : str
        Of the folder, and of the file in ``pins`` that lists its packages with their versions.
    modules : tuple of str
        Imports that must work in it.
    complete : bool
        True when the file lists all that is needed, so that whatever else its packages ask for is left out.
    """

    name: str
    modules: tuple[str, ...]
    complete: bool = True

    @property
    def folder(self) -> Path:
        """Where it is, or would be."""
        return _MADE / self.name

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """Says what was installed; written last, so an environment without it is not complete."""
        return self.folder / "installed"

    @property
    def pins(self) -> Path:
        """Its packages, a requirement a line."""
        return _PINS / f"{self.name}.txt"


_ALL = (
    Environment("openvino", ("openvino",)),
    Environment("mnn", ("MNN", "_tools")),
    Environment("ncnn", ("ncnn",)),
    Environment("litert", ("ai_edge_litert.interpreter", "litert_torch"), complete=False),
)

ENVIRONMENTS: dict[str, Environment] = {environment.name: environment for environment in _ALL}


def is_set_up(name: str) -> bool:
    """Whether an engine of environment ``name`` finds its Python; one that needs none of its own always does."""
    return name not in ENVIRONMENTS or ENVIRONMENTS[name].stamp.exists()
