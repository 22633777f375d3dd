"""A convolution and the depthwise convolution or pooling that follows it, without the tensor between them.

Both work channel by channel: a few output channels of the convolution go to planes of scratch memory, band of rows by
band, and the window kernel reads each band while it is in the first cache.

A window kernel of stride 2 reads dealt planes (:func:`~sparsecc.ir.layout.dealt`): the convolution deals its vectors
out as it stores them, so that every tap reads consecutive floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparsecc._tvm import PrimFunc, T, tirx
from sparsecc.kernels import direct, direct_shape, shares, window
from sparsecc.kernels.direct_shape import DirectConfig, DirectShape
from sparsecc.kernels.direct_tile import At, Sink
from sparsecc.kernels.function import kernel
from sparsecc.kernels.repack import fill
from sparsecc.kernels.surround import clear_surround
from sparsecc.kernels.tiles import Tiles
from sparsecc.kernels.window_rows import emit_band, first_row, row_bands
from sparsecc.kernels.window_shape import Plane, WindowConfig, WindowShape

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
    """Knobs of both kernels; the convolution's ``rows_outer`` is always true.

    Attributes
    ----------
    conv : DirectConfig
    window : WindowConfig
    parts : int
        Runs of bands that an image is cut into, one after another for all rows of blocks: what a part reads of the
        input stays in the cache. Rows of the convolution that two parts need are computed twice.
    """

    conv: DirectConfig
    window: WindowConfig
    parts: int = 1


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

        parallel for image, part of the plane, row, sub:
            for band of rows of the output:
                for tile that it needs and that is not done: planes[reg_n] = epilogue(convolution)
                for n in reg_n: band of output plane = epilogue(window(planes[n]))

    There is only one band, and so one part, where the window kernel packs its planes or walks runs of pixels.
    """
    return kernel(_parameters(shape), lambda buffers: _body(shape, config, buffers))


def _parameters(shape: ChainShape) -> list[tuple[str, tuple[tuple[int], str]]]:
    conv = {name: direct_shape.buffer_of(name, shape.conv) for name in direct_shape.argument_names(shape.conv)}
    rest = {_RENAMED.get(name, name): ((size,), "float32") for name, size in window.sizes(shape.window)}
    return [(name, conv[name] if name in conv and name != "output" else rest[name]) for name in argument_names(shape)]


def _body(shape: ChainShape, config: ChainConfig, buffers: dict[str, Any]) -> None:
    conv, reg_n, output = shape.conv, config.conv.reg_n, buffers["output"]
    layout = conv.store.layout
    tiles = direct.tiles_of(conv, config.conv)
    banded, bands = window.is_banded(shape.window, config.window), bands_of(shape.window, config.window)
    extents = (conv.spec.n, config.parts, conv.rows, conv.block_n // reg_n)
    with shares.shared_out(*extents) as loops, T.sblock("row"):
        image, part, row, sub = map(T.axis.spatial, extents, loops)
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        planes = T.alloc_buffer((layout.size(reg_n),), "float32", scope="global")
        at = At(image, row, sub)
        _fill_gaps(shape, planes, reg_n)
        run = shares.part_of(bands, config.parts, part)
        with T.serial(*run) as loop, T.sblock("band"):
            band = T.axis.spatial(bands, loop)
            T.reads()
            T.writes(output[0 : output.ty.shape[0]])
            done = tirx.Select(
                band == run[0], _tiles_before(band, shape, config, tiles), _tiles_for(band - 1, shape, config, tiles)
            )
            # in memory: TVM would put these expressions into every index inside and simplify them, up to 40 s a kernel
            bounds = T.alloc_buffer((2,), "int32", scope="global")
            T.buffer_store(bounds, done, [0])
            T.buffer_store(bounds, _tiles_for(band, shape, config, tiles), [1])
            with T.serial(bounds[0], bounds[1]) as loop, T.sblock("tile"):
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
                origin = n * layout.channel
                if banded:
                    plane = Plane(planes, layout, origin)
                    emit_band(shape.window, config.window, read, plane, image, channel, band)
                else:
                    window.emit_plane(shape.window, config.window, read, origin, image, channel)
                with T.If(band == bands - 1), T.Then():
                    clear_surround(shape.window.store, output, image * shape.window.store.channels + channel)


def bands_of(shape: WindowShape, config: WindowConfig) -> int:
    """Bands of a plane: one where the window kernel can't work by itself on fewer rows."""
    return row_bands(shape, config) if window.is_banded(shape, config) else 1


def _tiles_before(band: Any, shape: ChainShape, config: ChainConfig, tiles: Tiles) -> Any:
    """How many of the convolution's tiles are not needed for a band and those after it."""
    if not window.is_banded(shape.window, config.window):
        return 0
    spec = shape.window.spec
    row = first_row(shape.window, config.window, band) * spec.stride[0] - spec.padding[0]
    return tirx.floordiv(T.max(row * shape.conv.store.layout.pitch - spec.padding[1], 0), tiles.pixels)


def _tiles_for(band: Any, shape: ChainShape, config: ChainConfig, tiles: Tiles) -> Any:
    """How many of the convolution's tiles must be done before a band of the output can be computed."""
    if not window.is_banded(shape.window, config.window):
        return tiles.total
    spec = shape.window.spec
    last = ((band + 1) * config.window.rows - 1) * spec.stride[0] + (spec.kh - 1) * spec.dilation[0] - spec.padding[0]
    pixels = T.min((last + 1) * shape.conv.store.layout.pitch, shape.conv.store.flat)
    done = T.min(tirx.floordiv(pixels + (tiles.pixels - 1), tiles.pixels), tiles.total)
    return tirx.Select(band >= row_bands(shape.window, config.window) - 1, tiles.total, done)


def _fill_gaps(shape: ChainShape, planes: Any, reg_n: int) -> None:
    """Fill what lies above, between and below the scratch planes; gaps between rows are stored with the pixels."""
    store, layout = shape.conv.store, shape.conv.store.layout
    if layout.halo == (0, 0, 0, 0):
        return
    fill(planes, 0, layout.lead, store.gap)
    with T.serial(0, reg_n) as n:
        for part in range(layout.deal):
            written = len(range(part, store.flat, layout.deal))
            end = layout.lead + n * layout.channel + part * layout.plane + written
            fill(planes, end, layout.plane - written, store.gap)
    fill(planes, layout.lead + reg_n * layout.channel, layout.tail, store.gap)
