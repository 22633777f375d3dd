"""Passes over kernels, each before and after: what a broken one makes shows here, not as a wrong number later."""

from __future__ import annotations

from typing import Any

import pytest
from outline import outline, text

from sparsecc._extremes import exact_extremes
from sparsecc._passes import device_scope, private_scratch, stack_accumulators
from sparsecc._strided import strided_bytes
from sparsecc._tvm import TOGETHER, IRModule, PrimFunc, T, tirx, tvm
from sparsecc.kernels.extremes import at_least, at_most, larger, smaller
from sparsecc.kernels.function import floats, kernel
from sparsecc.target import TARGETS

Expr = Any
ONE = tirx.FloatImm("float32", 1.0)


def buffer(name: str, count: int) -> Any:
    return tirx.decl_buffer((count,), "float32", name=name)


def store(target: Any, value: Expr) -> Any:
    """``target[0] = value``."""
    return tirx.BufferStore(target, value, [0])


def load(source: Any) -> Expr:
    return tirx.BufferLoad(source, [0])


def passed(one: Any, func: PrimFunc, target: str = "x86-64-v3") -> PrimFunc:
    """What a pass makes of a function for a target."""
    bound = func.with_attr("target", tvm.target.Target(dict(TARGETS[target].llvm)))
    return one(IRModule({"main": bound}))["main"]


def scalars(*values: Any) -> PrimFunc:
    """``y[v] = value(x[v], z[v])``, a statement for each value."""

    def body(buffers: dict[str, Any]) -> None:
        with T.serial(4) as v:
            for value in values:
                T.buffer_store(buffers["y"], value(buffers["x"][v], buffers["z"][v]), [v])

    return kernel([(name, floats(4)) for name in "xzy"], body)


def statements(func: PrimFunc) -> str:
    """What a function's script has in its loop."""
    lines = [line.strip() for line in func.script().splitlines()]
    return "\n".join(line for line in lines if line.startswith("y[")) + "\n"


def test_device_scope() -> None:
    func = scalars(lambda x, z: x)
    assert outline(func) == "for 4: y = x\n"
    made = passed(device_scope, func)
    assert outline(made) == "device_id: device_type: for 4: y = x\n"
    assert 'T.attr("default", "device_id", 0)\n    T.attr("default", "device_type", 1)\n' in made.script()


def test_stack_accumulators() -> None:
    """4096 bytes stay on the stack; one float more is a plane."""
    small, large, y = buffer("small", 1024), buffer("large", 1025), buffer("y", 4)
    body = [tirx.AllocBuffer(small), tirx.AllocBuffer(large), store(small, ONE), store(large, ONE)]
    func = PrimFunc([y], tirx.SeqStmt([*body, store(y, load(small) + load(large))]))
    before = """
        room for small
        room for large
        small = 1
        large = 1
        y = small, large
        """
    assert outline(func) == text(before)
    assert outline(passed(stack_accumulators, func)) == text(before.replace("for small", "for small on the stack"))


def test_private_scratch() -> None:
    """What is allocated before a region that all threads walk moves into it; other statements stay."""
    a, b, y = buffer("a", 4), buffer("b", 4), buffer("y", 4)
    region = tirx.AttrStmt(
        tirx.IntImm("int32", 0), TOGETHER, tirx.IntImm("int32", 0),
        tirx.SeqStmt([store(a, ONE), store(b, load(a)), store(y, load(b))]),
    )  # fmt: skip
    func = PrimFunc([y], tirx.SeqStmt([store(y, ONE), tirx.AllocBuffer(a), tirx.AllocBuffer(b), region]))
    assert outline(func) == text(
        """
        y = 1
        room for a
        room for b
        pragma_parallel_launch_point:
            a = 1
            b = a
            y = b
        """
    )
    assert outline(passed(private_scratch, func)) == text(
        """
        y = 1
        pragma_parallel_launch_point:
            room for a
            room for b
            a = 1
            b = a
            y = b
        """
    )


def test_scratch_without_a_region_stays() -> None:
    a, y = buffer("a", 4), buffer("y", 4)
    func = PrimFunc([y], tirx.SeqStmt([tirx.AllocBuffer(a), store(a, ONE), store(y, load(a))]))
    assert outline(passed(private_scratch, func)) == outline(func)


def test_strided_bytes() -> None:
    """Every third byte is picked out of whole vectors, none beyond the last; floats and wide steps stay."""

    def picked(dtype: str, step: int) -> str:
        x, y = (tirx.decl_buffer((400,), dtype, name) for name in "xy")
        read = tirx.BufferLoad(x, [tirx.Ramp(T.int32(2), T.int32(step), 4)])
        func = PrimFunc([x, y], tirx.BufferStore(y, read, [tirx.Ramp(T.int32(0), T.int32(1), 4)]))
        return statements(passed(strided_bytes, func))

    assert picked("uint8", 3) == "y[0:4] = T.Shuffle([x[T.Ramp(2, 1, 10)]], [0, 3, 6, 9])\n"
    for dtype, step in (("float32", 3), ("uint8", 5), ("int8", 1)):
        assert "Shuffle" not in picked(dtype, step)


def test_exact_extremes() -> None:
    """A bound that is a number takes one choice: the NaN is the other side. Of two tensors either may have it."""
    zero = tirx.FloatImm("float32", 0.0)
    func = scalars(lambda x, z: T.max(x, zero), lambda x, z: T.max(x, z), lambda x, z: T.min(x, z))
    assert statements(func) == text(
        """
        y[v] = T.max(x[v], T.float32(0.0))
        y[v] = T.max(x[v], z[v])
        y[v] = T.min(x[v], z[v])
        """
    )
    assert statements(passed(exact_extremes, func)) == text(
        """
        y[v] = T.Select(T.float32(0.0) > x[v], T.float32(0.0), x[v])
        y[v] = T.Select(z[v] > x[v], z[v], T.Select(x[v] >= z[v], x[v], x[v] + z[v]))
        y[v] = T.Select(z[v] < x[v], z[v], T.Select(x[v] <= z[v], x[v], x[v] + z[v]))
        """
    )


@pytest.mark.parametrize("target", ["rpi4", "rpi2"])
def test_extremes_are_one_instruction_on_arm(target: str) -> None:
    """However they are written; other choices stay."""
    zero = tirx.FloatImm("float32", 0.0)
    func = scalars(
        lambda x, z: T.max(x, zero), T.min, lambda x, z: at_least(x, 0.0), lambda x, z: at_most(x, 6.0), larger, smaller
    )
    lines = statements(passed(exact_extremes, func, target)).splitlines()
    assert ["maximum" in line for line in lines] == [True, False, True, False, True, False]
    assert ["minimum" in line for line in lines] == [False, True, False, True, False, True]
    assert not any("Select" in line or "isnan" in line for line in lines)
    assert [line.endswith(("x[v], z[v])", "z[v], x[v])")) for line in lines] == [False, True, False, False, True, True]

    others = scalars(
        lambda x, z: tirx.Select(x < z, z, x),  # z may be what is no number
        lambda x, z: tirx.Select(tirx.isnan(z), x, tirx.Select(z > x, z, x)),
        lambda x, z: tirx.Select(x < zero, z, x),
        lambda x, z: tirx.Select(x <= zero, zero, x),
    )
    assert statements(passed(exact_extremes, others, target)) == statements(others)


def test_extremes_of_integers_stay() -> None:
    """Addresses have no NaN."""

    def body(buffers: dict[str, Any]) -> None:
        with T.serial(4) as v:
            T.buffer_store(buffers["y"], buffers["x"][T.max(v - 1, 0)], [v])

    func = kernel([(name, floats(4)) for name in "xy"], body)
    assert "T.max(v - 1, 0)" in func.script()
    assert all("T.max(v - 1, 0)" in passed(exact_extremes, func, target).script() for target in ("x86-64-v3", "rpi4"))
