"""Run a program in an emulator that counts: blocks of code, how often they ran, and what missed which cache."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sparsecc.target.hardware import Hardware

_PLUGIN = Path(__file__).parent / "csrc" / "blocks.c"
_LEVELS = 3
_HEAD = struct.Struct(f"<{4 + 2 * _LEVELS}QI")
_TAIL = struct.Struct("<Q")
_MARKS = 2
#: core -> what QEMU 7.2 has of it, or the next that has its instructions
_QEMU = {
    "cortex-a53": "cortex-a53", "cortex-a55": "cortex-a76", "cortex-a72": "cortex-a72", "cortex-a73": "cortex-a72",
    "cortex-a76": "cortex-a76", "cortex-a78": "neoverse-n1", "neoverse-n1": "neoverse-n1",
}  # fmt: skip
CORES = tuple(_QEMU)


class EmulationError(RuntimeError):
    """The program ended with an error, or ran without the marks; the message says what it said."""


@dataclass(frozen=True)
class Block:
    """A run of instructions without a jump into it or out of it but at its ends.

    Attributes
    ----------
    address, owner : int
        Of its first instruction; the function of those that were given which it first ran for, 0 for none.
    code : bytes
    runs : int
    accesses : int
        Loads and stores; one of 16 bytes are two.
    foreseen, unforeseen : tuple of int
        Misses of each cache: lines that a prefetcher may have asked for, and others.
    """

    address: int
    owner: int
    code: bytes
    runs: int
    accesses: int
    foreseen: tuple[int, ...]
    unforeseen: tuple[int, ...]

    @property
    def length(self) -> int:
        """Instructions."""
        return len(self.code) // 4


def run(
    command: Sequence[str], hardware: Hardware, *, folder: Path, starts: Sequence[int] = (),
    libraries: Path | None = None, environment: Mapping[str, str] | None = None,
) -> list[Block]:  # fmt: skip
    """Run a 64-bit ARM program that calls ``getppid`` before and after what shall be counted.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    hardware : Hardware
        Whose caches and prefetcher.
    folder : Path
        Where it runs.
    starts : sequence of int
        Functions that blocks belong to.
    libraries : Path, optional
        Of the emulated system, for a program that is not static.
    environment : mapping, optional
        Added to this one's.

    Raises
    ------
    EmulationError
    """
    with TemporaryDirectory() as made:
        plugin, out, given = (Path(made) / name for name in ("blocks.so", "blocks.bin", "starts.bin"))
        given.write_bytes(struct.pack(f"<{len(starts)}Q", *starts))
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", str(_PLUGIN), "-o", str(plugin)], check=True)
        caches = [f"cache={cache.sets}:{cache.ways}" for cache in hardware.caches]
        words = ",".join([str(plugin), f"out={out}", f"starts={given}", *caches, f"streams={hardware.streams}"])
        root = ["-L", str(libraries)] if libraries else []
        emulator = ["qemu-aarch64", "-cpu", _QEMU[hardware.name], *root, "-plugin", words]
        done = subprocess.run(
            [*emulator, *command], cwd=folder, capture_output=True, text=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        if done.returncode:
            raise EmulationError(f"{command[0]}: exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
        data = out.read_bytes()
    (marks,) = _TAIL.unpack(data[-_TAIL.size :])
    if marks < _MARKS:
        raise EmulationError(f"{command[0]}: found {marks} marks, expected two: it calls getppid around what counts")
    return list(_merged(_read(data[: -_TAIL.size], len(hardware.caches))))


def _read(data: bytes, levels: int) -> Iterator[Block]:
    at = 0
    while at < len(data):
        address, owner, runs, accesses, *misses, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        foreseen, unforeseen = tuple(misses[:levels]), tuple(misses[_LEVELS : _LEVELS + levels])
        yield Block(address, owner, data[at : at + size], runs, accesses, foreseen, unforeseen)
        at += size


def _merged(blocks: Iterator[Block]) -> Iterator[Block]:
    """Code that was translated more than once as one block."""
    same: dict[tuple[int, bytes], list[Block]] = {}
    for block in blocks:
        same.setdefault((block.address, block.code), []).append(block)
    for (address, code), parts in same.items():
        owner = parts[-1].owner
        foreseen, unforeseen = (
            tuple(sum(column) for column in zip(*(getattr(part, name) for part in parts), strict=True))
            for name in ("foreseen", "unforeseen")
        )
        runs, accesses = sum(part.runs for part in parts), sum(part.accesses for part in parts)
        yield Block(address, owner, code, runs, accesses, foreseen, unforeseen)
