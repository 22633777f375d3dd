"""A convolution and the depthwise convolution or pooling that follows it, without the tensor between them.

Both work channel by channel on whole planes: as soon as a few output channels of the convolution are done, the window
kernel reads them from scratch memory that never leaves the cache. Nothing is computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import IRBuilder, PrimFunc, T
from sparsecc.kernels import direct, direct_shape, window
from sparsecc.kernels.direct import At, Sink
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.repack import fill
from sparsecc.kernels.window_shape import WindowConfig, WindowShape

#: parameters of the window kernel that the convolution has too
_RENAMED = {"data": "window_data", "bias": "window_bias", "mask": "window_mask"}


@dataclass(frozen=True)
class ChainShape:
    """Everything that the kernel's loops and addresses depend on.

    Attributes
    ----------
    conv : DirectShape
        Stores into scratch planes: its ``store`` has one image, and as many channels as are in registers at a time.
    window : WindowShape
        Reads those planes: its ``source`` is their layout.
    """

    conv: DirectShape
    window: WindowShape


@dataclass(frozen=True)
class ChainConfig:
    """Knobs of both kernels; the convolution's ``rows_outer`` is always true."""

    conv: DirectConfig
    window: WindowConfig


def argument_names(shape: ChainShape) -> tuple[str, ...]:
    """The kernel's parameters in order."""
    conv = [name for name in direct_shape.argument_names(shape.conv) if name != "output"]
    rest = [_RENAMED.get(name, name) for name in window.argument_names(shape.window) if name != "input"]
    return (*conv, *rest)


def chain(shape: ChainShape, config: ChainConfig) -> PrimFunc:
    """Build the unscheduled kernel.

    Parameters are those of both kernels (:func:`~sparsecc.kernels.direct.direct`,
    :func:`~sparsecc.kernels.window.window`); the window kernel's ``data``, ``bias`` and ``mask`` are called
    ``window_...``.

    Loops::

        for image, row, sub:
            for tile: planes[reg_n] = epilogue(convolution)
            for n in reg_n: output plane = epilogue(window(planes[n]))
    """
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers = {name: T.arg(name, T.buffer(*kind)) for name, kind in _parameters(shape)}
        _body(shape, config, buffers)
    return builder.get()


def _parameters(shape: ChainShape) -> list[tuple[str, tuple[tuple[int], str]]]:
    conv = {name: direct_shape.buffer_of(name, shape.conv) for name in direct_shape.argument_names(shape.conv)}
    rest = {_RENAMED.get(name, name): ((size,), "float32") for name, size in window.sizes(shape.window)}
    return [(name, conv[name] if name in conv and name != "output" else rest[name]) for name in argument_names(shape)]


def _body(shape: ChainShape, config: ChainConfig, buffers: dict[str, Any]) -> None:
    conv, reg_n, output = shape.conv, config.conv.reg_n, buffers["output"]
    layout = conv.store.layout
    tiles = direct.tiles_of(conv, config.conv)
    with T.grid(conv.spec.n, conv.rows, conv.block_n // reg_n) as loops, T.sblock("row"):
        image, row, sub = T.axis.remap("SSS", list(loops))
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        planes = T.sblock_alloc_buffer((layout.size(reg_n),), "float32", scope="global")
        at = At(image, row, sub)
        _fill_gaps(shape, planes, reg_n)
        with T.serial(0, tiles.total) as loop, T.sblock("tile"):
            tile = T.axis.spatial(tiles.total, loop)
            T.reads()
            T.writes(planes[0 : planes.ty.shape[0]])
            direct.emit_tile(conv, config.conv, buffers, at, tile, Sink(planes, conv.store, lambda _, n: n))
        with T.serial(0, reg_n) as loop, T.sblock("plane"):
            n = T.axis.spatial(reg_n, loop)
            T.reads()
            T.writes(output[0 : output.ty.shape[0]])
            channel = direct.output_channel(conv, config.conv, buffers, at, n)
            read = {name: buffers[_RENAMED.get(name, name)] for name in window.argument_names(shape.window)[1:]}
            read["input"] = planes
            window.emit_plane(shape.window, config.window, read, n * layout.channel, image, channel)


def _fill_gaps(shape: ChainShape, planes: Any, reg_n: int) -> None:
    """Zeros above, between and below the scratch planes; those between rows are stored with the pixels."""
    layout, flat = shape.conv.store.layout, shape.conv.store.flat
    if layout.halo == (0, 0, 0, 0):
        return
    fill(planes, 0, layout.lead, 0.0)
    with T.serial(0, reg_n) as n:
        fill(planes, layout.lead + n * layout.channel + flat, layout.channel - flat, 0.0)
    fill(planes, layout.lead + reg_n * layout.channel, layout.tail, 0.0)
