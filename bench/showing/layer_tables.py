"""Every step of a library: rate, share of the peak, bytes moved, time above what its multiply-adds need."""

from __future__ import annotations

from bench.results.schema import CellResult, Layer, Limits
from bench.results.summary import OURS_ONE_THREAD
from bench.showing.markdown import NONE, cell_name, percent, table


def layer_section(cell: CellResult, limits: Limits) -> str:
    """Every step of sparsecc's libraries: rate, share of the peak, least bytes moved; empty when none is known."""
    peak = limits.peak_gflops[str(cell.cell.threads)]
    head = ["step", "kind", "µs", "M multiply-adds", "GFLOP/s", "of peak", "MB at least", "GB/s", "µs above the limit"]
    parts = []
    for p in cell.participants:
        if p.layers and p.name != OURS_ONE_THREAD:  # whose peak is another
            parts.append(
                f"### Steps: {p.label}, {cell_name(cell)}\n\n"
                + table(head, [_layer(layer, peak) for layer in p.layers])
            )
    return "\n\n".join(parts)


def _layer(layer: Layer, peak: float) -> list[str]:
    seconds = max(layer.ms, 1e-6) * 1e-3
    rate = 2 * layer.macs / seconds / 1e9
    work = [f"{layer.macs / 1e6:.2f}", f"{rate:.0f}", percent(rate / peak)] if layer.macs else [NONE] * 3
    moved = [f"{layer.bytes / 1e6:.2f}", f"{layer.bytes / seconds / 1e9:.0f}"] if layer.bytes else [NONE] * 2
    above = 1e3 * layer.ms - 2 * layer.macs / peak / 1e3
    return [layer.key, layer.kind, f"{1e3 * layer.ms:.1f}", *work, *moved, f"{above:.1f}"]
