"""The detector of the examples: what is wanted of its cells, decoding and suppression in Python and in C, precision."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import train_detector
from detector.boxes import Found, decoded, detect, overlap, suppressed
from detector.learn import average_precision, in_pytorch, loss_of, train, wanted
from detector.net import STRIDES, Detector
from detector.scenes import CLASSES, Scene, scenes
from patience import PATIENCE_S

import sparsecc
from sparsecc import prune

SOURCE = Path(__file__).parent.parent / "examples" / "detector" / "detect.c"
ZIG = (sys.executable, "-m", "ziglang", "cc", "-std=c11", "-Wall", "-Wextra", "-Werror")
#: of a cell that is sure, either way
SURE = 8.0


def perfect_cells(scene: Scene, stride: int) -> np.ndarray:
    """Outputs that say what is wanted of them."""
    want = wanted([scene], stride)
    present = torch.where(want.present > 0, SURE, -SURE)
    classes = torch.nn.functional.one_hot(want.labels, len(CLASSES)).permute(0, 3, 1, 2)
    return torch.cat([present[:, None], want.distances, classes], 1)[0].float().numpy()


def truth(scene: Scene) -> list[Found]:
    return [Found(1.0, int(c), tuple(b.tolist())) for b, c in zip(scene.boxes, scene.labels, strict=True)]


def test_wanted_cells_decode_to_the_boxes():
    for scene in scenes(30, seed=3):
        found = detect(*(perfect_cells(scene, stride) for stride in STRIDES))
        assert len(found) == len(scene.boxes)
        for box, label in zip(scene.boxes, scene.labels, strict=True):
            best = max(found, key=lambda f: overlap(f.box, box.tolist()))
            assert best.label == label
            np.testing.assert_allclose(best.box, box, atol=1e-3)


def test_equal_seeds_give_equal_scenes():
    first, second = scenes(2, seed=5), scenes(2, seed=5)
    assert all(
        torch.equal(a.image, b.image) and torch.equal(a.boxes, b.boxes) for a, b in zip(first, second, strict=True)
    )
    assert not torch.equal(first[0].image, scenes(1, seed=6)[0].image)
    assert all(scene.image.min() >= 0 and scene.image.max() <= 1 for scene in first)


def test_suppression_keeps_the_best_of_a_class():
    a, near, other = (Found(0.9, 0, (0, 0, 10, 10)), Found(0.8, 0, (1, 0, 11, 10)), Found(0.7, 1, (0, 0, 10, 10)))
    far = Found(0.6, 0, (5, 5, 15, 15))
    assert suppressed([far, other, near, a]) == [a, other, far]
    assert overlap(a.box, near.box) == pytest.approx(9 / 11)
    assert overlap(a.box, (20, 20, 30, 30)) == 0


def test_only_sure_cells_become_boxes():
    cells = np.full((8, 2, 2), -SURE, np.float32)
    assert decoded(cells, stride=8, least=0.4) == []
    cells[:, 1, 0] = [SURE, *np.log([0.5, 1, 1.5, 2]), 0, 1, 0]
    (found,) = decoded(cells, stride=8, least=0.4)
    assert found.label == 1
    np.testing.assert_allclose(found.box, (0, 4, 16, 28), rtol=1e-6)


def test_average_precision_counts_what_is_found():
    some = scenes(12, seed=2)
    by_image = {scene.image.sum().item(): truth(scene) for scene in some}
    assert average_precision(lambda image: by_image[image.sum().item()], some) == 1.0
    assert average_precision(lambda _: [], some) == 0.0
    # the same twice: the second one is wrong, but comes after all right ones
    assert average_precision(lambda image: [*by_image[image.sum().item()], Found(0.1, 0, (0, 0, 9, 9))], some) == 1.0
    wrong_first = average_precision(lambda image: [Found(2.0, 0, (0, 0, 1, 1)), *by_image[image.sum().item()]], some)
    assert 0.5 < wrong_first < 1.0


def test_the_program_in_c_finds_the_same(tmp_path):
    torch.manual_seed(0)
    net = Detector(8).eval()
    with torch.no_grad():
        net.head[1].weight[0] *= 40  # scores far apart, so that their order is no matter of rounding
    image = scenes(1, seed=4)[0].image
    library = sparsecc.compile(net, example_inputs=(image[None],), threads=1, name="detector")
    library.save(tmp_path / "detector.a")
    image.numpy().tofile(tmp_path / "scene.f32")
    program = [*ZIG, str(SOURCE), "-I.", "detector.a", "-lm", "-lpthread", "-o", "detect"]
    subprocess.run(program, cwd=tmp_path, check=True, timeout=PATIENCE_S)
    printed = subprocess.run(
        ["./detect", "scene.f32"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=PATIENCE_S
    ).stdout
    found = detect(*(cells[0].numpy() for cells in library(image[None]).values()))
    rows = [line.split() for line in printed.splitlines()]
    assert len(found) > 3
    assert [row[0] for row in rows] == [CLASSES[f.label] for f in found]
    np.testing.assert_allclose(
        [[float(x) for x in row[1:]] for row in rows], [[f.score, *f.box] for f in found], atol=0.06
    )


def test_the_table_and_the_paths_of_its_libraries(tmp_path):
    assert train_detector.path_of("1x16, 75%", tmp_path) == tmp_path / "1x16" / "detector.so"
    result = train_detector.Result("1x16, 75%", 0.91, 0.912, {"PyTorch": 2.5, "library": 0.15}, 1_500_000)
    assert "| 1x16, 75% | 91.0 | 91.2 | 2.500 | 0.150 | 1500 |" in train_detector.table([result])


def test_a_pruned_detector_learns():
    torch.manual_seed(0)
    seen, net = scenes(64, seed=0), Detector(8)
    before = losses(net, seen)
    train(net, seen, epochs=6, lr=3e-3, pruner=train_detector.pruner(16))
    assert 0.6 < prune.report(net).sparsity < 0.75
    assert losses(net, seen) < 0.75 * before


def losses(net: torch.nn.Module, seen: list[Scene]) -> float:
    net.train()
    with torch.no_grad():
        outputs = net(torch.stack([scene.image for scene in seen])).values()
        return sum(float(loss_of(o, wanted(seen, s))) for o, s in zip(outputs, STRIDES, strict=True))


@pytest.mark.slow
def test_the_example_runs(tmp_path, capsys):
    train_detector.main(["--out", str(tmp_path), "--epochs", "2", "--scenes", "64", "--picture"])
    assert capsys.readouterr().out.count("\n") == 5
    assert (tmp_path / "found.jpg").stat().st_size > 1000
    assert {path.parent.name for path in tmp_path.glob("*/detector.so")} == {"dense", "1x4", "1x16"}
    assert in_pytorch(Detector())(torch.rand(1, 3, 128, 128)) is not None
