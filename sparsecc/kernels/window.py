"""Kernels that turn one plane into one plane: depthwise convolution, average and maximum pooling."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import PrimFunc, T
from sparsecc.kernels import shares
from sparsecc.kernels.function import elements, kernel
from sparsecc.kernels.repack import fill_lead, pack_plane
from sparsecc.kernels.surround import clear_surround
from sparsecc.kernels.window_flat import emit_flat_tiles
from sparsecc.kernels.window_place import planes_in_place
from sparsecc.kernels.window_rows import emit_bands, row_bands
from sparsecc.kernels.window_shape import Plane, WindowConfig, WindowShape


def argument_names(shape: WindowShape) -> tuple[str, ...]:
    """The kernel's parameters in order."""
    return tuple(
        name
        for name, present in (
            ("input", not shape.in_place),
            ("data", "data" in shape.combine.parameters),
            ("bias", "bias" in shape.combine.parameters),
            ("scale", "scale" in shape.combine.parameters),
            ("mask", shape.store.masked),
            ("residual", shape.store.residual is not None),
            ("output", True),
        )
        if present
    )


def window(shape: WindowShape, config: WindowConfig) -> PrimFunc:
    """Build the unscheduled kernel.

    ``data`` (oc, kh * kw) and ``bias`` (oc,) float32; ``scale`` (h * pitch,) float32 is one over the number of averaged
    pixels; ``mask`` (h * pitch,) is 1 at pixels and 0 in gaps.

    Loops::

        parallel for image, half of the plane, channel:
            scratch = input plane                  # if packed; then there are no halves
            for tile:
                for tap: acc = combine(acc, input or scratch[tap + pixel])
                output = epilogue(acc)

    Where results take the place of the input there is no ``input``, and a plane is one tile.
    """
    parameters = [(name, elements(size, type_of(name, shape))) for name, size in sizes(shape)]
    return kernel(parameters, lambda buffers: _body(shape, config, buffers))


def type_of(name: str, shape: WindowShape) -> str:
    """Type of a parameter's elements: what is added or multiplied in the end is float32."""
    return "float32" if name in ("bias", "scale") else shape.dtype


def sizes(shape: WindowShape) -> list[tuple[str, int]]:
    """Parameters and their floats."""
    spec, store = shape.spec, shape.store
    floats = {
        "input": shape.source.size(spec.n * spec.ic),
        "data": spec.oc * spec.taps,
        "bias": spec.oc,
        "scale": store.layout.h * store.layout.pitch,
        "mask": store.layout.h * store.layout.pitch,
        "residual": (store.residual or store.layout).size(store.images * store.channels),
        "output": store.layout.size(store.images * store.channels),
    }
    return [(name, floats[name]) for name in argument_names(shape)]


def is_banded(shape: WindowShape, config: WindowConfig) -> bool:
    """Whether bands of rows are computed by themselves."""
    return config.rows > 0 and shape.scratch is None


def _body(shape: WindowShape, config: WindowConfig, buffers: dict[str, Any]) -> None:
    spec, output = shape.spec, buffers["output"]
    if shape.in_place:
        planes_in_place(shape, config, buffers)
        return
    split = shares.middle_band(row_bands(shape, config), floats=shape.store.flat) if is_banded(shape, config) else None
    extents = (spec.n, 1 if split is None else 2, spec.oc)
    with shares.shared_out(*extents) as loops, T.sblock("plane"):
        image, half, channel = map(T.axis.spatial, extents, loops)
        T.reads()
        T.writes(output[0 : output.ty.shape[0]])
        origin = (image * spec.ic + channel // (spec.oc // spec.ic)) * shape.source.channel
        if split is None:
            emit_plane(shape, config, buffers, origin, image, channel)
        else:
            run = shares.half_of(row_bands(shape, config), split, half)
            read = Plane(buffers["input"], shape.source, origin)
            emit_bands(shape, config, buffers, read, image, channel, run)
        with T.If(half == (0 if split is None else 1)), T.Then():
            clear_surround(shape.store, output, image * shape.store.channels + channel)


def emit_plane(
    shape: WindowShape, config: WindowConfig, buffers: dict[str, Any], origin: Any, image: Any, channel: Any
) -> None:
    """Code that computes one plane of the output from the plane of ``input`` that starts at float ``origin``."""
    if shape.scratch is None:
        read = Plane(buffers["input"], shape.source, origin)
    else:
        target = shape.scratch.target
        scratch = T.alloc_buffer((target.size(1),), shape.dtype, scope="global")
        fill_lead(shape.scratch, scratch)
        pack_plane(shape.scratch, buffers["input"], scratch, shape.source.lead + origin, target.lead)
        read = Plane(scratch, target, 0)
    if config.rows:
        emit_bands(shape, config, buffers, read, image, channel, (0, row_bands(shape, config)))
    else:
        emit_flat_tiles(shape, config, buffers, read, image, channel)
