"""The last pass over maxima and minima of floating point: as the processor has them, with a NaN of either side kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sparsecc._tvm import Call, IRModule, PrimFunc, T, structural_equal, structural_map, tirx, tvm

_MAXIMUM, _MINIMUM = "llvm.maximum", "llvm.minimum"
#: architectures, as triples begin, that have one instruction for each (fmax and fmin, vmax and vmin of vectors)
_ARM = ("aarch64", "arm")


@tvm.transform.module_pass(opt_level=0, name="sparsecc.ExactExtremes")  # type: ignore[untyped-decorator]
def exact_extremes(module: IRModule, _context: Any) -> IRModule:
    """Make choices of maxima and minima, or one instruction of maxima, minima and choices where there is one.

    Late, as TVM's simplifier takes minutes for choices within choices. Elsewhere than on ARM::

        max(x, 0)    ->    0 if x < 0 else x                                    one instruction on x86
        max(x, y)    ->    y if y > x else (x if x >= y else x + y)

    On ARM, where the choices took two to five::

        max(x, y)                                    ->    maximum(x, y)
        0 if x < 0 else x                            ->    maximum(x, 0)
        y if isnan(y) else (y if x < y else x)       ->    maximum(x, y)
    """
    return IRModule({gv: structural_map(f, _rules(f)) for gv, f in module.functions.items()}, attrs=module.attrs)


def _rules(function: PrimFunc) -> list[tuple[Any, Callable[[Any], Any]]]:
    if str(function.attrs["target"].attrs.get("mtriple", "")).startswith(_ARM):  # bound by the pipeline
        return [
            (tirx.Max, lambda node: _one(node, _MAXIMUM, node.a, node.b)),
            (tirx.Min, lambda node: _one(node, _MINIMUM, node.a, node.b)),
            (tirx.Select, _one_for_a_choice),
        ]
    return [
        (tirx.Max, lambda node: _choice(node, tirx.GT, tirx.GE)),
        (tirx.Min, lambda node: _choice(node, tirx.LT, tirx.LE)),
    ]


def _choice(node: Any, is_beyond: Callable[[Any, Any], Any], reaches: Callable[[Any, Any], Any]) -> Any:
    x, y = node.a, node.b
    if not _is_float(node):
        return node
    if _is_number(y):
        return tirx.Select(is_beyond(y, x), y, x)
    return tirx.Select(is_beyond(y, x), y, tirx.Select(reaches(x, y), x, x + y))


def _one(node: Any, intrinsic: str, x: Any, y: Any) -> Any:
    return T.call_llvm_pure_intrin(node.ty.dtype, intrinsic, x, y) if _is_float(node) else node


def _one_for_a_choice(node: Any) -> Any:
    """One instruction for a choice that keeps what is no number; others stay."""
    if not _is_float(node):
        return node
    test, taken, other = node.condition, node.true_value, node.false_value
    if isinstance(test, Call) and getattr(test.op, "name", "") == "tirx.isnan" and _same(test.args[0], taken):
        inner = _extreme(other)
        return _one(node, *inner) if inner and _same(inner[2], taken) else node
    found = _extreme(node)
    return _one(node, *found) if found and _is_number(found[2]) else node


def _extreme(node: Any) -> tuple[str, Any, Any] | None:
    """The instruction and its sides ``x, y`` of ``y if x < y else x`` or ``y if x > y else x``; None for others."""
    if not isinstance(node, tirx.Select) or not isinstance(node.condition, tirx.LT | tirx.GT):
        return None
    less, more = node.condition.a, node.condition.b
    if isinstance(node.condition, tirx.GT):
        less, more = more, less
    if _same(node.true_value, more) and _same(node.false_value, less):
        return _MAXIMUM, less, more
    if _same(node.true_value, less) and _same(node.false_value, more):
        return _MINIMUM, more, less
    return None


def _same(a: Any, b: Any) -> bool:
    return bool(a.same_as(b) or structural_equal(a, b))


def _is_number(value: Any) -> bool:
    return isinstance(value.value if isinstance(value, tirx.Broadcast) else value, tirx.FloatImm)


def _is_float(node: Any) -> bool:
    return str(node.ty.dtype).startswith(("float32", "float16"))
