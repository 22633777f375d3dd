"""A Debian for ARM with Python and rivals' wheels, for the emulator: ``python -m bench.emulate.system FOLDER``.

Debian's packages come by ``apt-get``, with lists of its own so that this machine's stay as they are; wheels by ``pip``,
in the versions of ``bench/rivals/pins``. Nothing is installed on this machine, and no ARM code runs while it is made.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.command import parser_of, tell
from bench.rivals.environments import ENVIRONMENTS

_PACKAGES = (
    "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libexpat1", "zlib1g", "libgcc-s1",
    "libstdc++6", "libgomp1", "libffi8", "libssl3", "libbz2-1.0", "liblzma5", "libuuid1",
)  # fmt: skip
#: environment -> packages of its pins that its engine is made of
_WHEELS = {"mnn": ("MNN", "numpy"), "ncnn": ("ncnn",), "litert": ("ai-edge-litert",)}
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the folder."""
    p = parser_of("emulate.system", "A Python for 64-bit ARM with rivals' wheels, for bench.emulate --rival.")
    p.add_argument("folder", type=Path)
    folder = p.parse_args(arguments).folder.resolve()
    tell("Debian's packages")
    _debian(folder)
    tell("wheels")
    _wheels(folder / "site")
    return 0


def _debian(folder: Path) -> None:
    for name in ("apt/lists", "apt/cache", "packages", "root"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    apt = ["apt-get", "-q"]
    for option in ("APT::Architecture=arm64", "APT::Architectures=arm64", f"Dir::State::lists={folder}/apt/lists",
                   f"Dir::Cache={folder}/apt/cache", "Dir::State::status=/dev/null"):  # fmt: skip
        apt += ["-o", option]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", *_PACKAGES], cwd=folder / "packages", check=True)
    for package in sorted((folder / "packages").glob("*.deb")):
        subprocess.run(["dpkg", "-x", str(package), str(folder / "root")], check=True)


def _wheels(site: Path) -> None:
    pins = [line for name in _WHEELS for line in ENVIRONMENTS[name].pins.read_text().splitlines()]
    wanted = [name.lower() for names in _WHEELS.values() for name in names]
    chosen = sorted({line for line in pins if line.partition("==")[0].lower() in wanted})
    command = [sys.executable, "-m", "pip", "install", "--target", str(site), "--no-deps", "--only-binary=:all:",
               "--python-version", "3.11", "--implementation", "cp", "--upgrade"]  # fmt: skip
    for platform in _PLATFORMS:
        command += ["--platform", platform]
    subprocess.run([*command, *chosen], check=True)


if __name__ == "__main__":
    raise SystemExit(main())
