"""Make the environments of the engines from PyPI, with pinned versions: ``python -m bench.rivals.setup [NAME ...]``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from bench.command import parser_of
from bench.rivals.environments import ENVIRONMENTS, Environment


def set_up(environment: Environment) -> str | None:
    """Make one environment unless it is there already; the reason when that fails, and then nothing is left of it."""
    if _is_current(environment):
        print(f"{environment.name}: is there already", flush=True)
        return None
    print(f"{environment.name}: installing {', '.join(_main_packages(environment))}", flush=True)
    for command in setup_commands(environment):
        done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_variables())
        if done.returncode:
            shutil.rmtree(environment.folder, ignore_errors=True)
            return _reason(done.stdout)
    environment.stamp.write_text(_wanted(environment))
    print(f"{environment.name}: done", flush=True)
    return None


def setup_commands(environment: Environment) -> list[list[str]]:
    """Make it, fill it, try it."""
    python, pins = str(environment.python), str(environment.pins)
    install = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r", pins]
    return [
        [sys.executable, "-m", "venv", "--clear", str(environment.folder)],
        [*install, *(["--no-deps"] if environment.complete else [])],
        [python, "-c", f"import {', '.join(environment.modules)}"],
    ]


def _variables() -> dict[str, str]:
    """Without what would let an environment see another one's packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _is_current(environment: Environment) -> bool:
    return environment.stamp.exists() and environment.stamp.read_text() == _wanted(environment)


def _wanted(environment: Environment) -> str:
    """What the stamp says: another Python or other versions make the environment anew."""
    return f"{sys.version}\n{environment.pins.read_text()}"


def _main_packages(environment: Environment) -> list[str]:
    """Those that the engine is made of: the others are what they need."""
    names = {module.partition(".")[0].lower().replace("_", "-") for module in environment.modules}
    lines = [line.strip() for line in environment.pins.read_text().splitlines()]
    return [line for line in lines if line.partition("==")[0].lower() in names]


def _reason(output: str) -> str:
    """The lines of a failed command's output that say what is wrong."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return "\n  ".join((errors or lines)[-3:]) or "no message"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make all or those that are named; exit code 1 when one failed."""
    parser = parser_of("rivals.setup", __doc__.partition(":")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ENVIRONMENTS)} (default: all)")
    names = parser.parse_args(arguments).names or list(ENVIRONMENTS)
    unknown = sorted(set(names) - set(ENVIRONMENTS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; expected some of {', '.join(ENVIRONMENTS)}")
    failed = {name: reason for name in names if (reason := set_up(ENVIRONMENTS[name]))}
    for name, reason in failed.items():
        print(f"{name}: failed, the benchmark goes without it:\n  {reason}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
