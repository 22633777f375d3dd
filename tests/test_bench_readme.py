"""The README's table from made-up results."""

from __future__ import annotations

from bench_made import made_cell, made_results, made_round

from bench.showing.readme import main, readme_table


def test_a_row_tells_times_and_ratios():
    rounds = [made_round(sparsecc=2.0, sparsecc_dense=5.0, onnxruntime=6.0, torch_eager=8.0) for _ in range(2)]
    head, _, row = readme_table(made_results(made_cell(rounds))).splitlines()
    assert head.startswith("| net | pattern | sparsecc, ms | best dense engine, ms | faster than it |")
    assert "2.00 (2.00 to 2.00)" in row
    assert "6.00, ONNX Runtime | 3.00x (3.00 to 3.00)" in row


def test_losses_are_bold():
    rounds = [made_round(sparsecc=4.0, sparsecc_dense=5.0, onnxruntime=3.0, torch_eager=6.0) for _ in range(2)]
    assert "**0.75x (0.75 to 0.75)**" in readme_table(made_results(made_cell(rounds)))


def test_a_file_that_is_none_is_an_error(tmp_path, capsys):
    path = tmp_path / "results.json"
    path.write_text("{")
    assert main([str(path)]) == 2
    assert "bench.showing.readme:" in capsys.readouterr().err
