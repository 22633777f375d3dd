"""The C compiler: ``ziglang`` by default, or one the user names."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sparsecc.errors import OutputError, TargetError, ToolchainError
from sparsecc.runtime.interrupts import uninterrupted
from sparsecc.runtime.libc import system_of

#: Environment variable that names a C compiler to use in place of ``ziglang``.
CC_VARIABLE = "SPARSECC_CC"

# Oldest glibc a library made with ziglang runs on: Debian 10, Raspberry Pi OS Buster, RHEL 8.
_GLIBC = "2.28"
_ZIG_TARGETS = {
    "x86_64": f"x86_64-linux-gnu.{_GLIBC}",
    "aarch64": f"aarch64-linux-gnu.{_GLIBC}",
    "armv7": f"arm-linux-gnueabihf.{_GLIBC}",
}
#: programs that need nothing of the machine they run on: zig links them with musl, glibc is never static there; and
#: libraries for systems with musl
_ZIG_STATIC = {"x86_64": "x86_64-linux-musl", "aarch64": "aarch64-linux-musl", "armv7": "arm-linux-musleabihf"}
#: Android's compilers, as the NDK has them: https://developer.android.com/ndk/guides/other_build_systems
_NDK_VARIABLES = ("ANDROID_NDK_ROOT", "ANDROID_NDK_HOME", "ANDROID_NDK")
_NDK_FOLDER = "toolchains/llvm/prebuilt/*/bin"
#: pages of 16 KiB, which Android 15 has on some phones; by itself the NDK does so from release 28 on
_ANDROID_FLAGS = ("-Wl,-z,max-page-size=16384",)
_OTHER_NAMES = {"amd64": "x86_64", "arm64": "aarch64", "arm": "armv7", "armv7a": "armv7", "armv7l": "armv7"}
# The baseline: code outside the kernels must run on every CPU of the architecture, or the CPU check can't.
_BASELINE = {"x86_64": "-march=x86-64", "aarch64": "-march=armv8-a", "armv7": "-march=armv7-a+fp"}
_ZIG_BASELINE = {"x86_64": "-mcpu=x86_64", "aarch64": "-mcpu=generic", "armv7": "-mcpu=generic+v7a+vfp3d16"}


@dataclass(frozen=True)
class Compiler:
    """How to call the compiler and the archiver, what it is called in messages, and the system's libraries."""

    name: str
    compile: tuple[str, ...]
    archive: tuple[str, ...]
    libraries: tuple[str, ...] = ("-lm", "-lpthread")

    def run(self, arguments: Sequence[str], *, folder: Path, kept: bool = False) -> None:
        """Compile or link in ``folder``; ToolchainError with what the compiler said if that fails.

        With ``kept`` a compiler that has a cache may keep the result for later calls: for what knows no network.
        """
        self._call((*self.compile, *arguments), folder=folder, kept=kept)

    def make_archive(self, archive: str, members: Sequence[str], *, folder: Path) -> None:
        """Make a static library in ``folder``, the same bytes every time."""
        self._call((*self.archive, "rcsD", archive, *members), folder=folder)

    def _call(self, command: Sequence[str], *, folder: Path, kept: bool = False) -> None:
        try:
            code, said = _run(command, environment=_environment(folder, kept=kept), folder=folder)
        except OSError as error:
            raise _not_run(self.name, command[0], error) from error
        if not code:
            return
        if "No space left" in said or "NoSpaceLeft" in said:
            raise OutputError(f"{self.name}: no space left in {folder}; free some, or set TMPDIR to another folder")
        shown = said if len(said) < 4000 else f"{said[:2000]}\n...\n{said[-2000:]}"
        how = f"failed with exit code {code}: {shlex.join(command)}"
        raise ToolchainError(f"{self.name} {how}\nIt said:\n{shown}\nCheck that it makes code for this target.")


def _run(command: Sequence[str], *, environment: Mapping[str, str], folder: Path) -> tuple[int, str]:
    """Exit code of a program and what it said; what it started ends with it if we are stopped meanwhile."""
    process, pipe = None, subprocess.PIPE
    try:
        with uninterrupted():
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe,
                text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        printed, errors = process.communicate()
    except BaseException:
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise
    return process.returncode, errors.strip() or printed.strip() or "nothing"


def find_compiler(cc: str | None, *, triple: str, programs: bool = False) -> Compiler:
    """The compiler to use for ``triple``.

    Parameters
    ----------
    cc : str or None
        A command such as ``"gcc"`` or ``"ccache clang"``; None for ``$SPARSECC_CC``, else ``ziglang``.
    triple : str
        What to compile for: ``x86_64-linux-gnu``, ``aarch64-linux-gnu``, ``armv7l-linux-gnueabihf``; with ``musl`` in
        the place of ``gnu``, or as ``aarch64-linux-android24``, for systems with that C library. Android's has to come
        from a compiler of its NDK: that of ``cc``, else the one in the folder that ``$ANDROID_NDK_ROOT`` names.
    programs : bool
        True for static programs that run on any system of the architecture, False for libraries.

    Raises
    ------
    TargetError
        An architecture we have no runtime for.
    ToolchainError
        The compiler is not installed.
    """
    machine = architecture(triple)
    command, system = _words(cc or os.environ.get(CC_VARIABLE, "")), system_of(triple)
    if not command and system == "android" and not programs:
        command = (_ndk_compiler(triple),)
    if command:
        compiler = _system_compiler(command, machine)
    else:
        compiler = _zig(machine, _ZIG_STATIC if programs or system == "musl" else _ZIG_TARGETS)
    if command and system == "android":
        compiler = _for_android(compiler)
    return replace(compiler, compile=(*compiler.compile, "-static")) if programs else compiler


def _words(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        advice = f"correct cc= or {CC_VARIABLE}"
        raise ToolchainError(f"C compiler: {command!r} can't be split into words ({error}); {advice}") from error


def architecture(triple: str) -> str:
    """The architecture of a triple, by one name however it is written; TargetError for one we have no runtime for."""
    first = triple.split("-")[0].lower()
    first = _OTHER_NAMES.get(first, first)
    if first not in _ZIG_TARGETS or "linux" not in triple:
        expected = "x86_64-linux-gnu, aarch64-linux-gnu or armv7l-linux-gnueabihf"
        raise TargetError(f"target triple {triple!r}: no library can be linked for it; expected {expected}")
    return first


def _ndk_compiler(triple: str) -> str:
    """Android's C compiler, which brings Android's C library: zig has none, static programs are linked with musl."""
    variable = next((name for name in _NDK_VARIABLES if os.environ.get(name)), None)
    root = Path(os.environ[variable]) if variable else Path("/nonexistent")
    found = sorted(root.glob(f"{_NDK_FOLDER}/{triple}-clang"))
    if not found:
        where = f"no {_NDK_FOLDER}/{triple}-clang in {root}, which {variable} names" if variable else "no NDK"
        advice = f"set {_NDK_VARIABLES[0]} to an NDK that has it, or name its compiler with cc= or {CC_VARIABLE}"
        raise ToolchainError(f"no C compiler for Android: found {where}; {advice}")
    return str(found[-1])


def _for_android(compiler: Compiler) -> Compiler:
    """With the NDK's archiver beside it, Android's pages, and no library for threads: its C library has them."""
    archiver = Path(compiler.compile[0]).with_name("llvm-ar")
    archive = (str(archiver),) if archiver.exists() else compiler.archive
    return replace(compiler, compile=(*compiler.compile, *_ANDROID_FLAGS), archive=archive, libraries=("-lm",))


def _zig(architecture: str, targets: Mapping[str, str]) -> Compiler:
    if importlib.util.find_spec("ziglang") is None:
        advice = f"pip install ziglang, or name a C compiler with cc= or {CC_VARIABLE}"
        raise ToolchainError(f"no C compiler: the Python package ziglang is not installed; {advice}")
    zig = (sys.executable, "-m", "ziglang")
    flags = ("-target", targets[architecture], _ZIG_BASELINE[architecture], "-fno-sanitize=all")
    return Compiler("ziglang", (*zig, "cc", *flags), (*zig, "ar"))


def _system_compiler(command: tuple[str, ...], architecture: str) -> Compiler:
    if shutil.which(command[0]) is None:
        advice = f"install it, correct cc= or {CC_VARIABLE}, or leave both out to use ziglang"
        raise ToolchainError(f"C compiler {command[0]!r} not found; {advice}")
    try:
        found = subprocess.run((*command, "-print-prog-name=ar"), capture_output=True, text=True)
    except OSError as error:
        raise _not_run(command[0], command[0], error) from error
    archiver = found.stdout.strip() or "ar"
    return Compiler(command[0], (*command, _BASELINE[architecture]), (archiver,))


def _not_run(name: str, program: str, error: OSError) -> ToolchainError:
    advice = f"install it, correct cc= or {CC_VARIABLE}, or leave both out to use ziglang"
    return ToolchainError(f"{name}: can't run {program}: {error.strerror}; {advice}")


def _environment(folder: Path, *, kept: bool) -> dict[str, str]:
    """The caller's environment; messages in English; what is stored about files goes with the folder, or is kept."""
    environment = {**os.environ, "LC_ALL": "C", "TMPDIR": str(folder)}
    if not kept:
        environment["ZIG_LOCAL_CACHE_DIR"] = str(folder / "cache")
    home = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "/nonexistent")) / ".cache")
    usable = next((p for p in (home, *home.parents) if p.exists()), Path("/"))
    if not os.access(usable, os.W_OK):  # zig keeps its C libraries in a cache: without one the first link fails
        environment.setdefault("ZIG_GLOBAL_CACHE_DIR", str(folder / "global-cache"))
    return environment
