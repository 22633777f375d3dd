"""The demo of ``make demo``: prune a network, compile it, check it, time it against PyTorch, run it by itself."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import nets
import numpy as np
import torch
from torch import nn

import sparsecc

ROUNDS, SLICE_S = 10, 0.1
NOISY = 1.5

#: what the last step runs: a process in which PyTorch and TVM can't be imported
ALONE = """
import sys
sys.modules["torch"] = sys.modules["tvm"] = None  # to import them is an error now
import numpy as np, sparsecc
lib = sparsecc.load("model.so", threads=int(sys.argv[1]))
found = lib(np.load("x.npy"))
found, expected = found if isinstance(found, tuple) else (found,), np.load("y.npz").values()
same = all(np.array_equal(f, e) for f, e in zip(found, expected, strict=True))
print(f"{lib}\\nresult: {'the same numbers, bit for bit' if same else 'OTHER numbers'}")
sys.exit(not same)
"""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Prune a network, compile it, check it, time it against PyTorch, run it by itself.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--net", default="mobilenet_v1", choices=sorted(nets.NETS), metavar="NET", help="which network")
    parser.add_argument("--n", type=int, default=16, help="output channels of a block")
    parser.add_argument("--sparsity", type=float, default=0.75, help="share of blocks to prune")
    parser.add_argument("--threads", type=int, default=1, help="threads of every participant")
    parser.add_argument("--size", type=int, default=224, help="pixels of the image's side")
    parser.add_argument("--out", type=Path, default=Path("build/out"), help="folder for the library")
    return parser.parse_args()


def step(title: str, text: str) -> None:
    """Say what comes next."""
    print(f"\n--- {title} {'-' * (95 - len(title))}\n{textwrap.fill(text, 100)}\n", flush=True)


def make_nets(options: argparse.Namespace) -> tuple[nn.Module, nn.Module]:
    """The dense network, and a copy with the weakest blocks of each layer set to zero."""
    dense, pruned = nets.build(options.net), nets.build(options.net)
    nets.impose_1xn(pruned, options.n, options.sparsity)
    # a real network is trained on after pruning; here batch norm adapts at least
    nets.calibrate_batchnorm(pruned, torch.randn(2, 3, options.size, options.size))
    return dense, pruned


def compile_net(name: str, model: nn.Module, x: torch.Tensor, *, threads: int) -> sparsecc.Compiled:
    """Compile, and tell the stages on one line."""
    print(f"{name}: ", end="", flush=True)
    begin = time.perf_counter()
    lib = sparsecc.compile(
        model, example_inputs=(x,), threads=threads, progress=lambda stage: print(f"{stage}, ", end="", flush=True)
    )
    print(f"done in {time.perf_counter() - begin:.1f} s", flush=True)
    return lib


def results(run: Callable[[torch.Tensor], object], x: torch.Tensor) -> list[torch.Tensor]:
    """All outputs, also where there is only one."""
    with torch.inference_mode():
        found = run(x)
    return list(found) if isinstance(found, (tuple, list)) else [found]


def difference(lib: sparsecc.Compiled, model: nn.Module, x: torch.Tensor) -> float:
    """Largest difference from PyTorch, relative to the largest output."""
    pairs = zip(results(lib, x), results(model, x), strict=True)
    return max(float((found - expected).abs().max() / expected.abs().max()) for found, expected in pairs)


@torch.inference_mode()
def measure(runs: dict[str, Callable[[torch.Tensor], object]], x: torch.Tensor) -> dict[str, np.ndarray]:
    """Milliseconds of runs by participant, in turns: what disturbs the machine for a while disturbs all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(ROUNDS + 1):
        for name, run in runs.items():
            end = time.perf_counter() + SLICE_S
            while (begin := time.perf_counter()) < end:
                run(x)
                if number:  # the first round warms up
                    times[name].append((time.perf_counter() - begin) * 1e3)
    return {name: np.array(found) for name, found in times.items()}


def print_times(times: dict[str, np.ndarray]) -> None:
    """Print medians, spreads and ratios to the first participant."""
    base = np.median(next(iter(times.values())))
    print(f"{'':18}{'median':>10}{'10 % to 90 % of runs':>26}{'runs':>7}{'speed':>9}")
    for name, found in times.items():
        middle, (low, high) = np.median(found), np.percentile(found, [10, 90])
        spread = f"{low:.2f} to {high:.2f} ms"
        print(f"{name:18}{middle:7.2f} ms{spread:>26}{len(found):7}{base / middle:8.2f}x")
    if any(np.percentile(found, 90) > NOISY * np.median(found) for found in times.values()):
        print("\nTimes vary widely: the machine is busy with something else. Run this again when it is quiet.")


def run_alone(lib: sparsecc.Compiled, x: torch.Tensor, folder: Path, *, threads: int) -> int:
    """Save the library and run it in a fresh process without PyTorch and TVM."""
    folder.mkdir(parents=True, exist_ok=True)
    lib.save(folder / "model.so")
    np.save(folder / "x.npy", x.numpy())
    np.savez(folder / "y.npz", *(y.numpy() for y in results(lib, x)))
    print(f"{folder / 'model.so'}: {(folder / 'model.so').stat().st_size / 1e6:.1f} MB", flush=True)
    search_path = os.pathsep.join([str(Path(sparsecc.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", ALONE, str(threads)]
    return subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": search_path}).returncode


def main() -> int:
    """Run the demo; exit code 1 when a result is wrong."""
    o = arguments()
    torch.manual_seed(0)
    x, other = torch.randn(2, 1, 3, o.size, o.size)
    what = f"{o.net}, image {o.size}x{o.size}, blocks of {o.n} output channels, {o.sparsity:.0%} of them pruned"

    step("1. Prune", f"{what}. Weights are random: speed and agreement do not depend on what they mean.")
    dense, pruned = make_nets(o)
    print("made the dense network and its pruned twin")

    step("2. Compile", "Both networks become libraries; each is compared with PyTorch before it counts as compiled.")
    fast, plain = (compile_net(n, m, x, threads=o.threads) for n, m in (("pruned", pruned), ("dense ", dense)))

    step("3. Report", "What was found in each layer of the pruned network, and what was done with it.")
    print(fast.report)

    step("4. Check", "The pruned network on a new image, sparsecc against PyTorch.")
    error = difference(fast, pruned, other)
    print(f"largest difference: {error:.1e} of the largest output ({'good' if error < 1e-4 else 'TOO MUCH'})")

    step("5. Speed", f"Batch 1, {o.threads} thread(s), all four in turns. Speed is relative to the first line.")
    torch.set_num_threads(o.threads)
    runs = {"PyTorch, dense": dense, "PyTorch, pruned": pruned, "sparsecc, dense": plain, "sparsecc, pruned": fast}
    times = measure(runs, x)
    print_times(times)
    gain = np.median(times["sparsecc, dense"]) / np.median(times["sparsecc, pruned"])
    print(f"\nPyTorch multiplies with the zeros; sparsecc skips them: {gain:.2f}x the speed of its own dense library.")

    step("6. Alone", "The library in a new process in which neither PyTorch nor TVM can be imported.")
    code = run_alone(fast, other, o.out, threads=o.threads)
    print(f"\n{o.out}/model.h is its C header; examples/c/main.c calls it without Python.")
    return int(code != 0 or error >= 1e-4)


if __name__ == "__main__":
    sys.exit(main())
