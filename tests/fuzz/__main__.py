"""``python -m fuzz``: run cases, print a table of how they ended, exit with 1 if one ended badly."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

from fuzz.isolated import judged
from fuzz.kinds import KINDS
from fuzz.outcome import GOOD, MEANING
from fuzz.run import Tally, run


def main() -> int:
    """Run the command line."""
    args = _arguments()
    with ExitStack() as stack:
        samples = args.samples or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (samples / "figures.json").exists():
            samples.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, "-m", "fuzz.samples", str(samples)], check=True)
        if args.only is not None:
            return _again(args.kinds[0], samples, args.only)
        tallies = [_tally(kind, samples, args) for kind in args.kinds]
    print(table(tallies))
    if args.json:
        args.json.write_text(json.dumps([_data(tally) for tally in tallies], indent=1))
    return int(any(tally.bad for tally in tallies))


def table(tallies: list[Tally]) -> str:
    """Markdown: a row a kind, a column an ending."""
    head = ["kind", "cases", *(str(ending) for ending in MEANING)]
    rows = [[t.kind, str(t.cases), *(str(t.counts[ending]) for ending in MEANING)] for t in tallies]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows])


def _tally(kind: str, samples: Path, args: argparse.Namespace) -> Tally:
    tally = Tally(kind)
    count = args.cases if kind == "network" or len(args.kinds) == 1 else args.cases * KINDS[kind].share // 100
    until = None if args.seconds is None else time.monotonic() + args.seconds / len(args.kinds)
    for seed, outcome in run(kind, samples, seeds=range(args.seed, args.seed + count), until=until):
        tally.add(seed, outcome)
        if not outcome.is_good or args.verbose:
            print(f"{kind} {seed}: {outcome.ending}: {outcome.detail[:600]}", flush=True)
    return tally


def _data(tally: Tally) -> dict[str, object]:
    bad = [{"seed": seed, "ending": outcome.ending, "detail": outcome.detail} for seed, outcome in tally.bad]
    reasons = dict(tally.reasons.most_common(100))
    return {"kind": tally.kind, "counts": dict(tally.counts), "bad": bad, "reasons": reasons}


def _again(kind: str, samples: Path, seed: int) -> int:
    """One case in this process, where a debugger can be."""
    with tempfile.TemporaryDirectory() as folder:
        case = KINDS[kind].prepare(samples, Path(folder))
        outcome = judged(lambda: case(Random(f"{kind} {seed}")))
    print(f"{kind} {seed}: {outcome.ending}: {outcome.detail}")
    return int(outcome.ending not in GOOD)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="by default all kinds of files")
    parser.add_argument("--cases", type=int, default=1000, help="of files together; of networks if those are asked for")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--only", type=int, metavar="SEED", help="one case again, in this process")
    parser.add_argument("--samples", type=Path, help="folder of the undamaged files; made if it is missing")
    parser.add_argument("--json", type=Path, help="write the counts, bad cases and most frequent refusals")
    parser.add_argument("--verbose", action="store_true", help="a line for every case")
    args = parser.parse_args()
    args.kinds = args.kinds or [kind for kind in KINDS if kind != "network"]
    return args


if __name__ == "__main__":
    sys.exit(main())
