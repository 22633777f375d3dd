"""Load and run compiled networks: needs NumPy and the standard library, nothing else."""

from sparsecc.runtime.checks import read_description
from sparsecc.runtime.library import Library, load
from sparsecc.runtime.ports import Port

__all__ = ["Library", "Port", "load", "read_description"]
