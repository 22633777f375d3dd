"""Facts about the machine that a result needs beside its numbers."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.results import Machine

_FEATURES = ("avx2", "fma", "avx512f", "avx512vl", "asimd", "neon")  # those that kernels are chosen by
_PACKAGES = ("torch", "apache-tvm", "numpy", "ziglang")


def describe_machine(versions: Mapping[str, str]) -> Machine:
    """Describe the machine now; the participants' ``versions`` join those of the packages that all build on."""
    info = _cpuinfo()
    flags = info.get("flags", info.get("Features", "")).split()
    return Machine(
        cpu=info.get("model name", platform.machine()),
        cores=len(os.sched_getaffinity(0)),
        features=tuple(flag for flag in _FEATURES if flag in flags),
        system=f"{platform.system()} {platform.release()}",
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions={"python": platform.python_version(), **_installed(), **versions},
    )


def _cpuinfo() -> dict[str, str]:
    """Fields of the first core."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def _installed() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
