"""What the benchmark's results are judged by, and their plots."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench_made import LIMITS, STEADY, made_cell, made_results, made_round, require, steady

from bench.judging.aims import SHARES, verdicts
from bench.judging.breakeven import break_even
from bench.judging.check import main as check_main
from bench.judging.check import not_measured
from bench.results.schema import Layer
from bench.results.summary import summarise
from bench.showing.overview import overview
from bench.showing.plot_data import Point, latencies, speed_ups
from bench.showing.tables import tables

SPARSE_RIVAL = {"mnn_sparse": 1e-6}


def rows_of(*cells):
    return [(cell, s) for cell in cells for s in summarise(cell, LIMITS, wanted=2)]


def verdict(aim, *cells):
    (found,) = [v for v in verdicts(made_results(*cells)) if v.aim.startswith(aim)]
    return found


# --- break-even ----------------------------------------------------------------------------------------------------


def cell_at(sparsity, sparse_ms):
    return made_cell(steady(sparsecc=sparse_ms, sparsecc_dense=10.0), sparsity=sparsity)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({0.5: 6.0, 0.75: 3.5}, 0.1),  # 10 % of the dense time above what the kept blocks need
        ({0.5: 6.0, 0.75: 3.5, 0.9: 3.0}, 0.1),  # what is far above does not matter
        ({0.1: 12.0, 0.5: 8.0}, 0.3),  # between two
        ({0.5: 12.0, 0.9: 11.0}, 1.0),  # never
        ({0.5: 2.0, 0.75: 1.9}, 0.0),  # always
        ({0.5: 2.0}, None),
    ],
)
def test_break_even(times, expected):
    found = break_even(rows_of(*(cell_at(*time) for time in times.items())))
    assert found == (None if expected is None else pytest.approx(expected))


# --- aims ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rival", "met"), [(5.7, True), (5.5, False)])
def test_faster_than_the_sparse_rival_by_what_the_sparsity_asks(rival, met):
    rounds = steady(sparsecc=4.0, sparsecc_dense=20.0, onnxruntime=16.0, mnn_sparse=rival)
    found = verdict("faster than the best sparse", made_cell(rounds, SPARSE_RIVAL))
    assert (found.met, found.wanted) == (met, ">= 1.40")
    assert "MNN, sparse" in found.found


def test_without_a_sparse_rival_it_is_not_measured():
    assert verdict("faster than the best sparse", made_cell(STEADY)).met is None
    assert verdict("faster than the best dense", made_cell(STEADY)).met is True


@pytest.mark.parametrize(("ms", "met"), [(2.8, True), (2.9, False)])
def test_share_of_the_limit(ms, met):
    rounds = steady(1.0, 1.0, sparsecc=ms, sparsecc_dense=20.0, onnxruntime=16.0)
    found = verdict("share of the limit", made_cell(rounds))  # the limit is 2 ms
    assert (found.met, found.wanted) == (met, ">= 70 %")


@pytest.mark.parametrize(("ms", "met"), [(10.4, True), (10.6, False)])
def test_dense_may_be_a_little_slower(ms, met):
    cell = made_cell(steady(sparsecc_dense=ms, onnxruntime=10.0), net="resnet50", n=1, sparsity=0.0)
    assert verdict("dense at most 5 %", cell).met is met


def test_two_threads_are_judged_by_place():
    times = {"sparsecc": 2.0, "sparsecc_dense": 9.0, "sparsecc_one_thread": 3.7}
    rounds = [made_round("near", **times), made_round("far", **times | {"sparsecc": 2.6})]
    cell = made_cell(rounds, {"sparsecc_one_thread": 1e-6}, threads=2)
    assert verdict("two threads faster than one, cores near", cell).met is True
    assert verdict("two threads faster than one, cores far", cell).met is False
    only_near = replace(cell, rounds=cell.rounds[:1])
    assert verdict("two threads faster than one, cores far", only_near).met is None


def test_short_networks_need_not_gain_from_threads():
    rounds = [made_round("near", sparsecc=2.0, sparsecc_dense=9.0, sparsecc_one_thread=2.9)]
    cell = made_cell(rounds, {"sparsecc_one_thread": 1e-6}, threads=2)
    assert not [v for v in verdicts(made_results(cell)) if v.aim.startswith("two threads")]


def test_compile_time():
    assert verdict("compile time", made_cell(STEADY, net="resnet50", convert_s=59.0)).met is True
    assert verdict("compile time", made_cell(STEADY, net="resnet50", convert_s=61.0)).met is False


def test_wrong_results_miss():
    cell = made_cell(STEADY, errors={"sparsecc": 0.5})
    wrong = replace(cell.participants[0], problem="its error is above 0.0001")
    found = made_results(replace(cell, participants=(wrong, *cell.participants[1:])))
    assert [v.met for v in verdicts(found) if v.aim == "results are right"] == [False]
    assert [v.met for v in verdicts(found) if v.aim == "share of the limit"] == [None]


def test_break_even_is_judged_by_network():
    cells = [
        replace(cell_at(s, ms), cell=replace(cell_at(s, ms).cell, net="resnet18")) for s, ms in ((0.5, 9), (0.75, 6))
    ]
    found = verdict("break-even", *cells)
    assert (found.where, found.found, found.wanted, found.met) == ("resnet18, 1x16", "at 42 % pruned", "<= 40 %", False)


# --- the command ---------------------------------------------------------------------------------------------------


def test_check_lists_what_is_missed_and_open(tmp_path, capsys):
    layer = Layer("conv_1", "direct", 0.5, 20_000_000, 4_000_000)
    cell = made_cell(STEADY)
    results = made_results(
        replace(cell, participants=(replace(cell.participants[0], layers=(layer,)), *cell.participants[1:]))
    )
    results.save(tmp_path / "r.json")
    assert check_main([str(tmp_path / "r.json"), "--missed", "--layers"]) == 1
    text = capsys.readouterr().out
    assert "| share of the limit | mobilenet_v1, 1x16 at 75 %, 1 thread(s) | 33 % | >= 70 % | **missed** |" in text
    assert "faster than the best dense" not in text
    assert "| conv_1 | direct |" in text
    assert "not in the results: resnet50 on 2 thread(s): dense, 1x4 at 50 %" in text
    assert check_main([str(tmp_path / "none.json")]) == 2


def test_a_full_grid_lacks_nothing():
    cells = [
        made_cell([], threads=threads, net=net, n=n, sparsity=s)
        for net in SHARES
        for threads in (1, 2)
        for n, s in [(1, 0.0), *((n, s) for n in (4, 16) for s in (0.5, 0.75, 0.9))]
    ]
    assert not_measured(made_results(*cells)) == []
    assert len(not_measured(made_results(*cells[1:]))) == 1


# --- tables and plots ----------------------------------------------------------------------------------------------


@pytest.fixture
def full():
    """A network on one thread, dense and pruned, with a sparse rival."""
    times = {0.5: 8.0, 0.75: 4.0, 0.9: 2.0}
    dense = made_cell(steady(sparsecc_dense=20.0, onnxruntime=16.0), n=1, sparsity=0.0)
    pruned = [
        made_cell(
            steady(sparsecc=ms, sparsecc_dense=20.0, onnxruntime=16.0, mnn_sparse=2 * ms),
            SPARSE_RIVAL, n=n, sparsity=sparsity,
        )
        for n in (4, 16)
        for sparsity, ms in times.items()
    ]  # fmt: skip
    return made_results(dense, *pruned)


def test_overview(full):
    dense, pruned = overview(rows_of(*full.cells))
    assert "| mobilenet_v1 | 1 | any | 500 M | 10.00 | 30.00 (22.00 to 38.00) | 33 % |" in dense
    assert "| 24.00, ONNX Runtime | **0.80 (0.80 to 0.80)** |" in dense
    assert "| 24.00, ONNX Runtime | 4.00 (4.00 to 4.00) | 12.00, MNN, sparse | 2.00 (2.00 to 2.00) |" in pruned


def test_threads_have_a_table():
    times = {"sparsecc": 2.0, "sparsecc_dense": 9.0, "sparsecc_one_thread": 3.0}
    text = tables(made_results(made_cell([made_round("near", **times)] * 2, {"sparsecc_one_thread": 1e-6}, threads=2)))
    assert "### Threads, ms" in text
    assert "| 1.50 (1.50 to 1.50) |" in text


def test_cells_are_shown_in_order_however_they_were_measured(full):
    turned = replace(full, cells=full.cells[::-1])
    assert tables(turned) == tables(full)


def test_points_of_plots(full):
    lines = speed_ups(full, net="mobilenet_v1", threads=1)
    assert lines["sparsecc, N = 16"] == [Point(50, 2, 2, 2), Point(75, 4, 4, 4), Point(90, 8, 8, 8)]
    assert lines["MNN, sparse, N = 4"][1] == Point(75, 2, 2, 2)
    assert lines["sparsecc, dense"] == [Point(0, 0.8, 0.8, 0.8)]
    assert speed_ups(full, net="resnet18", threads=1) == {}
    assert [p.y for p in latencies(full, threads=1)["best dense rival"]] == [24.0]
    assert latencies(full, threads=2) == {}


def test_plots_are_written_and_repeatable(full, tmp_path, capsys):
    require("matplotlib")
    from bench.showing.plots import main

    full.save(tmp_path / "r.json")
    for folder in ("a", "b"):
        assert main([str(tmp_path / "r.json"), "--out", str(tmp_path / folder)]) == 0
    names = ["latency_1.svg", "speedup_mobilenet_v1_1.svg"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == names
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    assert main([str(tmp_path / "none.json")]) == 2
