"""Which processor this is and what caches it has, as Linux tells it."""

from __future__ import annotations

from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_KIB = 1024


def processor() -> str | None:
    """Vendor, family and model, such as ``AuthenticAMD-25-17``; None where Linux does not tell."""
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return None
    found: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    parts = [found.get(name, "") for name in ("vendor_id", "cpu family", "model")]
    return "-".join(parts) if all(parts) else None


def processor_of(target: object) -> str | None:
    """The processor that is compiled for, where that is this machine's: for ``"native"``. Else None.

    Empty where Linux does not tell: that is no processor which anybody has records of.
    """
    return (processor() or "") if target == "native" else None


def cache_bytes() -> dict[int, int]:
    """Level -> bytes of the data cache that the first core sees."""
    found = {}
    for folder in _CACHES.glob("index*"):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction":
                found[int(level)] = int(size.removesuffix("K")) * _KIB
        except (OSError, ValueError):  # a virtual machine may tell half
            continue
    return found
