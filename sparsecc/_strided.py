"""The last pass over bytes that are read at every second to fourth place: whole vectors are loaded and picked apart."""

from __future__ import annotations

from typing import Any

from sparsecc._tvm import IRModule, PrimFunc, structural_map, tirx, tvm

#: farther apart, most of what is loaded is thrown away
_FARTHEST = 4
_BYTES = ("uint8", "int8")


@tvm.transform.module_pass(opt_level=0, name="sparsecc.StridedBytes")  # type: ignore[untyped-decorator]
def strided_bytes(module: IRModule, _context: Any) -> IRModule:
    """Load bytes between those that are wanted as well: channels last are red, green, blue, red, ...

    Before::

        x[ramp(start, 3, 16)]                                 16 loads of a byte, 16 insertions

    After::

        shuffle(x[ramp(start, 1, 46)], [0, 3, ..., 45])       no byte beyond the last that was read before
    """
    return IRModule({gv: _function(function) for gv, function in module.functions.items()}, attrs=module.attrs)


def _function(function: PrimFunc) -> PrimFunc:
    return structural_map(function, (tvm.ir.TensorLoad, _whole))


def _whole(load: Any) -> Any:
    (*outer, index) = load.indices
    if str(load.source.ty.dtype.dtype) not in _BYTES or not isinstance(index, tirx.Ramp):
        return load
    step, lanes = index.stride, int(index.lanes)
    if not isinstance(step, tirx.IntImm) or not 1 < int(step) <= _FARTHEST:
        return load
    count = int(step) * (lanes - 1) + 1
    one = tirx.const(1, str(step.ty.dtype))
    loaded = tirx.BufferLoad(load.source, [*outer, tirx.Ramp(index.base, one, count)])
    return tirx.Shuffle([loaded], [tirx.const(i * int(step), "int32") for i in range(lanes)])
