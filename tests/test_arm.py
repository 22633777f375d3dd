"""Whole networks for ARM, run by an emulator: static programs, 32 and 64 bit, one and three threads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from nets import mobilenet, resnet
from nets.patterns import calibrate_batchnorm, impose_1xn
from torch import nn
from tuning_case import emulator, program

import sparsecc

BOARDS = {"aarch64": ("qemu-aarch64", "aarch64-linux-gnu"), "armv7": ("qemu-arm", "arm-linux-gnueabihf")}

#: reads all inputs from stdin, writes all outputs to stdout
PROGRAM = """\
#include <stdio.h>
#include <stdlib.h>
#include "model.h"
static float *array(int rank, const int64_t *shape, size_t *count) {
  *count = 1;
  for (int i = 0; i < rank; ++i) *count *= (size_t)shape[i];
  return malloc(*count * sizeof(float));
}
int main(int argc, char **argv) {
  model_t *net;
  size_t in, out;
  if (argc < 2 || model_create(&net)) return fprintf(stderr, "%s\\n", model_last_error()), 1;
  if (model_set_threads(net, atoi(argv[1])) < 0) return fprintf(stderr, "%s\\n", model_last_error()), 1;
  float *x = array(model_input_rank(0), model_input_shape(0), &in);
  float *y = array(model_output_rank(0), model_output_shape(0), &out);
  const void *inputs[] = {x};
  void *outputs[] = {y};
  if (fread(x, sizeof *x, in, stdin) != in) return 2;
  if (model_run(net, inputs, outputs)) return fprintf(stderr, "%s\\n", model_last_error()), 3;
  if (fwrite(y, sizeof *y, out, stdout) != out) return 4;
  model_destroy(net);
  return 0;
}
"""


def network(name: str, n: int, sparsity: float) -> nn.Module:
    torch.manual_seed(0)
    net = {"mobilenet_v2": mobilenet.mobilenet_v2, "resnet18": resnet.resnet18}[name](width=0.25).eval()
    if sparsity:
        impose_1xn(net, n, sparsity)
    calibrate_batchnorm(net, torch.randn((4, 3, 64, 64), generator=torch.Generator().manual_seed(2)))
    return net.eval()


def build(net: nn.Module, x: torch.Tensor, target: str, folder: Path) -> Path:
    compiled = sparsecc.compile(net, target, example_inputs=(x,))
    compiled.save(folder / "model.a")
    (folder / "app.c").write_text(PROGRAM)
    command = [program(f"{BOARDS[target][1]}-gcc"), "-static", "-O1"]
    subprocess.run([*command, "app.c", "model.a", "-lm", "-lpthread", "-o", "app"], cwd=folder, check=True)
    return folder / "app"


@pytest.mark.parametrize("target", BOARDS)
@pytest.mark.parametrize(
    ("name", "n", "sparsity"), [("mobilenet_v2", 4, 0.5), ("resnet18", 16, 0.9), ("resnet18", 1, 0)]
)
def test_a_network_on_an_emulated_board(name, n, sparsity, target, tmp_path):
    command = emulator(BOARDS[target][0])
    net, x = network(name, n, sparsity), torch.randn((1, 3, 64, 64), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = net(x).numpy()
    app = build(net, x, target, tmp_path)
    results = []
    for threads in (1, 3):
        done = subprocess.run(
            [command, str(app), str(threads)], input=x.numpy().tobytes(), capture_output=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        results.append(np.frombuffer(done.stdout, np.float32).reshape(expected.shape))
    np.testing.assert_array_equal(*results)
    assert np.abs(results[0] - expected).max() <= 1e-4 * np.abs(expected).max()
