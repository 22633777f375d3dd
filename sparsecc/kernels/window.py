"""Kernels that turn one plane into one plane: depthwise convolution, average and maximum pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sparsecc._tvm import IRBuilder, PrimFunc, T, tirx
from sparsecc.facts.conv import ConvSpec
from sparsecc.facts.layout import PlaneLayout
from sparsecc.kernels.direct import tap_offset
from sparsecc.kernels.repack import RepackShape, fill_lead, pack_plane
from sparsecc.kernels.store import StoreShape, finish

Combine = Literal["weighted", "sum", "max"]
#: what a maximum starts from: the lowest finite float32
LOWEST = -3.4028234663852886e38


@dataclass(frozen=True)
class WindowShape:
    """Everything that the kernel's loops and addresses depend on.

    Attributes
    ----------
    spec : ConvSpec
        ``groups == ic``; ``oc`` is a multiple of ``ic``.
    source : PlaneLayout
        Of the input; its halo covers the padding, or it is the phase layout of ``spec``.
    store : StoreShape
        Where results go.
    combine : str
        ``weighted`` (depthwise convolution), ``sum`` (times a factor per pixel: average pooling) or ``max``.
    scratch : RepackShape or None
        How every plane is copied into scratch memory before it is read; then ``source`` is any unsplit layout.
    """

    spec: ConvSpec
    source: PlaneLayout
    store: StoreShape
    combine: Combine
    scratch: RepackShape | None = None


@dataclass(frozen=True)
class WindowConfig:
    """Knobs: pixels in a vector, vectors in a tile."""

    lanes: int
    vectors: int

    @property
    def tile(self) -> int:
        """Pixels in a tile."""
        return self.lanes * self.vectors


def argument_names(shape: WindowShape) -> tuple[str, ...]:
    """The kernel's parameters in order."""
    return tuple(
        name
        for name, present in (
            ("input", True),
            ("data", shape.combine == "weighted"),
            ("bias", shape.combine == "weighted"),
            ("scale", shape.combine == "sum"),
            ("mask", shape.store.masked),
            ("residual", shape.store.residual is not None),
            ("output", True),
        )
        if present
    )


def window(shape: WindowShape, config: WindowConfig) -> PrimFunc:
    """Build the unscheduled kernel.

    ``data`` (oc, kh * kw) and ``bias`` (oc,) float32; ``scale`` (flat,) float32 is one over the number of averaged
    pixels; ``mask`` (flat,) is 1 at pixels and 0 in gaps.

    Loops::

        for image, channel:
            scratch = input plane                  # if packed
            for tile:
                for tap: acc[vectors, lanes] = combine(acc, input or scratch[tap + pixel])
                output = epilogue(acc)
    """
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("main")
        T.func_attr({"tirx.noalias": True})
        buffers = {name: T.arg(name, T.buffer((size,), "float32")) for name, size in _sizes(shape)}
        _body(shape, config, buffers)
    return builder.get()


def _sizes(shape: WindowShape) -> list[tuple[str, int]]:
    spec, store = shape.spec, shape.store
    sizes = {
        "input": shape.source.size(spec.n * spec.ic),
        "data": spec.oc * spec.taps,
        "bias": spec.oc,
        "scale": store.flat,
        "mask": store.flat,
        "residual": (store.residual or store.layout).size(store.images * store.channels),
        "output": store.layout.size(store.images * store.channels),
    }
    return [(name, sizes[name]) for name in argument_names(shape)]


def _body(shape: WindowShape, config: WindowConfig, buffers: dict[str, Any]) -> None:
    spec, output = shape.spec, buffers["output"]
    with T.grid(spec.n, spec.oc) as loops, T.sblock("plane"):
        image, channel = T.axis.remap("SS", list(loops))
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        origin = (image * spec.ic + channel // (spec.oc // spec.ic)) * shape.source.channel
        if shape.scratch is None:
            read = _Plane(buffers["input"], shape.source, origin)
        else:
            target = shape.scratch.target
            scratch = T.sblock_alloc_buffer((target.size(1),), "float32", scope="global")
            fill_lead(shape.scratch, scratch)
            pack_plane(shape.scratch, buffers["input"], scratch, shape.source.lead + origin, target.lead)
            read = _Plane(scratch, target, 0)
        _tiles(shape, config, buffers, read, image, channel)


@dataclass(frozen=True)
class _Plane:
    """Where one plane is read: the buffer, its layout, and the float at which the image's channel starts."""

    buffer: Any
    layout: PlaneLayout
    origin: Any


def _tiles(
    shape: WindowShape, config: WindowConfig, buffers: dict[str, Any], read: _Plane, image: Any, channel: Any
) -> None:
    spec, store, output = shape.spec, shape.store, buffers["output"]
    with T.serial(0, -(-store.flat // config.tile)) as loop, T.sblock("tile"):
        tile = T.axis.spatial(-(-store.flat // config.tile), loop)
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        acc = T.sblock_alloc_buffer((config.vectors, config.lanes), "float32", scope="global")
        start = T.min(tile * config.tile, store.flat - config.tile)
        with T.grid(spec.kh, spec.kw, config.vectors, config.lanes) as (a, b, v, lane), T.sblock("update"):
            va, vb = T.axis.reduce(spec.kh, a), T.axis.reduce(spec.kw, b)
            vv, vl = T.axis.remap("SS", [v, lane])
            T.reads()
            T.writes(acc[vv, vl])
            with T.init():
                T.buffer_store(acc, _initial(shape, buffers, channel), [vv, vl])
            pixel = read.origin + start + tap_offset(spec, read.layout, va, vb) + vv * config.lanes + vl
            value = read.buffer[pixel]
            if shape.combine == "weighted":
                value = value * buffers["data"][channel * spec.taps + va * spec.kw + vb]
            T.buffer_store(acc, _combined(shape, acc[vv, vl], value), [vv, vl])
        with T.grid(config.vectors, config.lanes) as (v, lane), T.sblock("store"):
            vv, vl = T.axis.remap("SS", [v, lane])
            _store(shape, buffers, acc[vv, vl], image * store.channels + channel, start + vv * config.lanes + vl)


def _combined(shape: WindowShape, total: Any, value: Any) -> Any:
    if shape.combine != "max":
        return total + value
    # a NaN in the window is the result, as in PyTorch
    return tirx.Select(tirx.any(value > total, tirx.isnan(value)), value, total)


def _initial(shape: WindowShape, buffers: dict[str, Any], channel: Any) -> Any:
    if shape.combine == "weighted":
        return buffers["bias"][channel]
    return tirx.const(LOWEST if shape.combine == "max" else 0.0, "float32")


def _store(shape: WindowShape, buffers: dict[str, Any], value: Any, plane: Any, pixel: Any) -> None:
    store, output = shape.store, buffers["output"]
    where = plane * store.layout.channel + store.layout.lead + pixel
    residual = None
    if store.residual is not None:
        residual = buffers["residual"][plane * store.residual.channel + store.residual.lead + pixel]
    if shape.combine == "sum":
        value = value * buffers["scale"][pixel]
    T.reads()
    T.writes(output[where])
    mask = buffers["mask"][pixel] if store.masked else None
    T.buffer_store(output, finish(value, store, residual=residual, mask=mask), [where])
