"""What is published of a core's pipeline and caches, as data: each figure says where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: bytes of a cache line, of every core that is listed
LINE_BYTES = 64


@dataclass(frozen=True)
class Cache:
    """A data cache: bytes, ways, and cycles from a load to the use of what it brings."""

    nbytes: int
    ways: int
    latency: int

    @property
    def sets(self) -> int:
        """Lines of a way."""
        return self.nbytes // LINE_BYTES // self.ways


@dataclass(frozen=True)
class Hardware:
    """A core as its maker, or who measured it, describes it.

    Attributes
    ----------
    name : str
        As LLVM calls it.
    width : int
        Instructions that start in a cycle.
    in_order : bool
        True where they start in the order of the program.
    fma_per_cycle, loads_per_cycle, stores_per_cycle : float
        Of four floats, that start in a cycle.
    fma_latency : int
        Cycles until a multiply-add may add to the result of another.
    load_latency : int
        Cycles from a load of a vector to its use, from the first cache.
    caches : tuple of Cache
        First, second, and third where there is one.
    memory_latency : int
        Cycles from a load that no cache has to its use.
    streams : int
        Sequences of lines that the prefetcher follows at a time; 0 for none.
    ahead : int
        Lines that it asks for before they are used.
    misses : int
        Lines that may be on their way at a time.
    line_cycles : tuple of float
        Cycles that a line takes which was asked for in time: from the second cache, ..., from memory.
    models : tuple of str
        LLVM's models of this core, the best first; those of a sibling where it has none.
    sources : mapping
        Field -> where its figure is from; ``"assumed"`` where nobody says.
    """

    name: str
    width: int
    in_order: bool
    fma_per_cycle: float
    loads_per_cycle: float
    stores_per_cycle: float
    fma_latency: int
    load_latency: int
    caches: tuple[Cache, ...]
    memory_latency: int
    streams: int
    ahead: int
    misses: int
    line_cycles: tuple[float, ...]
    models: tuple[str, ...]
    sources: Mapping[str, str] = field(repr=False)
