"""The page of advice: curves of the network, a row for each layer."""

from __future__ import annotations

from dataclasses import replace

from page_case import page_of

from sparsecc.page import write_advice


def test_every_layer_has_a_row_and_every_n_its_columns(advice, tmp_path):
    write_advice(tmp_path / "a.html", "net.pt2", advice)
    page = page_of(tmp_path / "a.html")
    heads, *rows = [row for row in page.rows if len(row) == 5 + 2 * len(advice.nets)]
    assert heads[5:] == [text for net in advice.nets for text in (f"1x{net.n} at 75 %", f"useful 1x{net.n}")]
    assert all(row[1].startswith(layer.name) for row, layer in zip(rows, advice.layers, strict=True))
    assert all(row[5].endswith("x") for row in rows)
    curves = [attrs for tag, attrs in page.elements if tag == "polyline" and "curve" in str(attrs["class"])]
    assert len(curves) == len(advice.nets) * (1 + len(advice.layers))
    times = [row for row in page.rows if len(row) == 2 + len(advice.sparsities)]
    assert [row[0] for row in times] == ["blocks", *(f"1x{net.n}" for net in advice.nets)]


def test_names_are_text(advice, tmp_path):
    layers = (replace(advice.layers[0], name="<script>alert(1)</script>"), *advice.layers[1:])
    write_advice(tmp_path / "a.html", "<b>net</b>", replace(advice, layers=layers))
    page = page_of(tmp_path / "a.html")
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert page.titles[0].startswith("<b>net</b>")
    assert any("<script>alert(1)</script>" in cell for row in page.rows for cell in row)


def test_a_network_without_layers_to_prune(advice, tmp_path):
    write_advice(tmp_path / "a.html", "net", replace(advice, layers=()))
    assert page_of(tmp_path / "a.html").titles[0].startswith("net")
