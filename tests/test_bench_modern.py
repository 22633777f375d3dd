"""The benchmark of networks of other packages: what is pruned, who is held to PyTorch, what the table says."""

from __future__ import annotations

import numpy as np
import pytest
from bench_made import require
from torch import nn

from bench.rivals.files import EXPECTED


@pytest.fixture(scope="module")
def modern():
    require("onnx", "onnxruntime")
    from bench.studies import modern_networks

    return modern_networks


class Small(nn.Module):
    """A stem, a layer to prune, few channels, narrow groups, a norm that starts at 0; a dict as output."""

    def __init__(self):
        super().__init__()
        convs = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 64, 1), nn.Conv2d(64, 64, 1, groups=4), nn.Conv2d(64, 8, 1)
        self.convs, self.norm = nn.Sequential(*convs), nn.BatchNorm2d(8)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x):
        return {"out": self.norm(self.convs(x))}


def test_layers_with_blocks_to_spare_are_pruned(modern):
    from bench.studies.modern_nets import Modern, made

    model, _ = made(Modern("small", Small, 8), pruned=True)
    assert [float((layer.weight != 0).float().mean()) for layer in model.net.convs] == [1.0, 0.25, 1.0, 1.0]
    model, _ = made(Modern("small", Small, 8), pruned=False)
    assert all(bool((layer.weight != 0).all()) for layer in model.net.convs)
    assert model.net.norm.weight.min().item() >= 0.1  # a branch without a scale would be removed


def test_ratios_are_those_of_rounds_to_the_better_engine(modern):
    players = [
        modern.Player(modern.DENSE, 1e-6, (1.0, 2.0, 4.0)),
        modern.Player(modern.PRUNED, 2e-6, (0.5, 1.0, 2.0)),
        modern.Player("ONNX Runtime", 3e-6, (9.0, 9.0, 9.0)),
        modern.Player("OpenVINO", 4e-6, (1.1, 2.2, 4.4)),
    ]
    lines = modern.rows("net", players)
    assert [line[1] for line in lines] == [player.name for player in players]
    assert [line[3].split()[0] for line in lines] == ["1.10", "2.20", "0.24", "1.00"]
    assert [line[4] for line in lines] == ["1.0e-06", "2.0e-06", "3.0e-06", "4.0e-06"]


def test_networks_are_built_checked_timed_and_profiled(modern, monkeypatch, tmp_path, capsys):
    from bench.studies.modern_nets import Modern

    monkeypatch.setitem(modern.NETS, "small", Modern("small net", Small, 8))
    monkeypatch.setattr(modern, "OTHERS", ("onnxruntime",))
    common = ["--net", "small", "--folder", str(tmp_path)]
    short = ["--rounds", "2", "--seconds", "0.001", "--warm", "0.001"]
    assert modern.main([*common, "--build-only"]) == 0
    assert "small net" not in capsys.readouterr().out
    assert modern.main([*common, *short]) == 0
    assert capsys.readouterr().out.count("| small net |") == 3
    assert modern.main([*common, "--steps", "2"]) == 0
    assert capsys.readouterr().out.count("| small net, pruned |") == 2

    wrong = tmp_path / "small" / "pruned" / EXPECTED
    with np.load(wrong) as archive:
        np.savez(wrong, archive["arr_0"] + 1)
    with pytest.raises(SystemExit, match=r"1x16 at 75 %: found an error of .* expected at most 0.0001"):
        modern.main([*common, *short])
    wrong.with_name("sparse.so").unlink()
    with pytest.raises(SystemExit, match="1x16 at 75 %: "):
        modern.measure(tmp_path / "small", rounds=1, run_s=0.001, warm_s=0.001)
