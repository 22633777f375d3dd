"""What users may choose."""

from __future__ import annotations

import keyword
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparsecc.analyse.impose import Impose
from sparsecc.errors import UserError
from sparsecc.ir.tensor_type import FLOAT32, HALF
from sparsecc.runtime.thread_count import check_environment
from sparsecc.untrusted import MalformedError
from sparsecc.untrusted.meta import check_meta
from sparsecc.untrusted.numbers import as_float, as_int

#: largest error of half precision that passes, relative to the largest value of a step's result
HALF_TOLERANCE = 2e-3
#: predicted speed-up over dense from which on a layer becomes sparse
MIN_SPEEDUP = 1.05
#: where images have their channels, and what a quantized network takes and gives
LAYOUTS, PORTS = ("nchw", "nhwc"), ("float", "codes")


@dataclass(frozen=True)
class Options:
    """Options of :func:`sparsecc.compile`; see there."""

    threads: int | None = None
    verify: bool | float = True
    keep_dense: Sequence[str] = ()
    min_speedup: float = MIN_SPEEDUP
    winograd: bool = True
    max_growth: float | None = None
    name: str = "model"
    dump: Path | None = None
    cc: str | None = None
    schedules: str | os.PathLike[str] | None = "shipped"
    impose: Impose | None = None
    meta: Mapping[str, str | Sequence[str]] | None = None
    layout: str = "nchw"
    ports: str = "float"
    dtype: str = FLOAT32.dtype

    def __post_init__(self) -> None:
        name, threads = self.name, self.threads
        if not (isinstance(name, str) and name.isidentifier() and name.isascii() and not keyword.iskeyword(name)):
            raise UserError(f"name: found {name!r}, expected a C identifier such as 'model'")
        if threads is None:
            check_environment()
        else:
            count = as_int(threads)
            if count is None or count < 1:
                raise UserError(f"threads: found {threads!r}, expected a positive number, or None for all cores")
            object.__setattr__(self, "threads", count)
        tolerance = as_float(self.verify)
        if not isinstance(self.verify, bool) and not (tolerance is not None and 0 < tolerance < 1):
            raise UserError(f"verify: found {self.verify!r}, expected True, False or a tolerance between 0 and 1")
        speedup = as_float(self.min_speedup)
        if speedup is None or not 0 < speedup < math.inf:
            raise UserError(f"min_speedup: found {self.min_speedup!r}, expected a positive number such as 1.05")
        growth = as_float(self.max_growth)
        if self.max_growth is not None and (growth is None or not 1 <= growth < math.inf):
            expected = "a factor of 1 or more such as 1.5, or None for no limit"
            raise UserError(f"max_growth: found {self.max_growth!r}, expected {expected}")
        if not isinstance(self.keep_dense, Collection) or not all(isinstance(name, str) for name in self.keep_dense):
            raise UserError(f"keep_dense: found {self.keep_dense!r}, expected a list of layers' names or patterns")
        if self.schedules is not None and not isinstance(self.schedules, str | os.PathLike):
            expected = "the path of a file of records, 'shipped', or None for the cost model alone"
            raise UserError(f"schedules: found {self.schedules!r}, expected {expected}")
        try:
            object.__setattr__(self, "meta", check_meta({} if self.meta is None else self.meta))
        except MalformedError as error:
            raise UserError(f"meta: {error}") from error
        if self.layout not in LAYOUTS:
            raise UserError(f"layout: found {self.layout!r}, expected 'nchw' as in PyTorch, or 'nhwc'")
        if self.ports not in PORTS:
            raise UserError(f"ports: found {self.ports!r}, expected 'float', or 'codes' of a quantized network")
        if self.dtype not in (FLOAT32.dtype, HALF):
            raise UserError(f"dtype: found {self.dtype!r}, expected 'float32' or 'float16'")
        if self.cc is not None and not isinstance(self.cc, str):
            raise UserError(f"cc: found {self.cc!r}, expected the command of a C compiler, such as 'gcc'")

    @property
    def tolerance(self) -> float | None:
        """Largest error relative to the largest output that passes; None to skip the check."""
        if self.verify is True:
            return HALF_TOLERANCE if self.dtype == HALF else 1e-4
        return None if self.verify is False else float(self.verify)
