"""Every operator as a tiny network."""

from __future__ import annotations

from collections.abc import Sequence

from .batch_norms import BATCH_NORMS
from .case import IMAGE, Function, OperatorCase, Together
from .convolutions import CONVOLUTIONS, TRANSPOSED
from .decomposed import DECOMPOSED
from .elementwise import ACTIVATIONS, ARITHMETIC
from .functions import FUNCTIONS
from .indexing import INDEXING
from .logic import LOGIC
from .networks import NETWORK_SHAPES
from .norms import NORMS
from .pools import POOLS
from .resampling import RESAMPLING
from .sequences import SEQUENCES
from .shapes import SHAPES, UPSAMPLING
from .volumes import VOLUMES
from .writes import WRITES

__all__ = ["IMAGE", "NETWORK_SHAPES", "OPERATORS", "TABLES", "Function", "OperatorCase", "Together"]

#: tables whose cases do not disturb each other in one network
TABLES: dict[str, Sequence[OperatorCase]] = {
    "convolutions": CONVOLUTIONS,
    "transposed": TRANSPOSED,
    "pools": POOLS,
    "activations": ACTIVATIONS,
    "arithmetic": ARITHMETIC,
    "shapes": SHAPES,
    "upsampling": UPSAMPLING,
    "batch_norms": BATCH_NORMS,
    "norms": NORMS,
    "sequences": SEQUENCES,
    "decomposed": DECOMPOSED,
    "logic": LOGIC,
    "indexing": INDEXING,
    "writes": WRITES,
    "volumes": VOLUMES,
    "resampling": RESAMPLING,
    "functions": FUNCTIONS,
}

OPERATORS = [*(case for table in TABLES.values() for case in table), *NETWORK_SHAPES]
