"""Facts about the machine that a result needs beside its numbers."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import ROOT
from bench.results.schema import Machine

SOURCE = "sparsecc source"  # its key among the versions
_FEATURES = ("avx2", "fma", "avx512f", "avx512vl", "asimd", "neon")  # those that kernels are chosen by
_SOURCES = ("sparsecc/**/*.py", "sparsecc/**/*.[ch]", "schedules/**/*.json")  # what a library is made from
_PACKAGES = ("torch", "apache-tvm", "numpy", "ziglang")


def describe_machine(versions: Mapping[str, str], *, source: str | None = None) -> Machine:
    """Describe the machine now; the participants' ``versions`` join those of the packages that all build on.

    ``source`` names the code of sparsecc that was measured; by default what it is now.
    """
    info = _cpuinfo()
    flags = info.get("flags", info.get("Features", "")).split()
    return Machine(
        cpu=info.get("model name", platform.machine()),
        cores=len(os.sched_getaffinity(0)),
        features=tuple(flag for flag in _FEATURES if flag in flags),
        system=f"{platform.system()} {platform.release()}",
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={**_common(), SOURCE: source or source_digest(), **versions},
    )


def source_digest() -> str:
    """A name for the very code of sparsecc, committed or not: the same name, the same libraries."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _SOURCES for path in ROOT.glob(pattern)):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _cpuinfo() -> dict[str, str]:
    """Fields of the first core."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def _common() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
