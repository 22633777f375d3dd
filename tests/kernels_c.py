"""Hand-written C kernels that look like TVM's object code, and small programs that use them."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
from process_folder import folder

from sparsecc.build import build_library, header_of, plan_memory
from sparsecc.build.library import sources_of
from sparsecc.build.link import Sources
from sparsecc.build.toolchain import find_compiler
from sparsecc.ir.program import PadFill, Port, Program, Ref, Step
from sparsecc.runtime import elf
from sparsecc.runtime.seal import find_seal, sealed

TRIPLE = "x86_64-linux-gnu"
SHAPE = (3, 5, 7)
#: padded plane: rows of 8, one row above and below, some slack at both ends
LEAD, ROW, PLANE, TAIL = 16, 8, 48, 16
PADDED = 4 * (LEAD + 3 * PLANE + TAIL)

SOURCE = """
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
typedef struct { void *sync; int32_t num_task; } group_t;
typedef int (*task_t)(int, group_t *, void *);
__attribute__((weak)) int (*__TVMBackendParallelLaunch)(task_t, void *, int);
__attribute__((weak)) void *(*__TVMBackendAllocWorkspace)(int, int, uint64_t, int, int);
__attribute__((weak)) int (*__TVMBackendFreeWorkspace)(int, int, void *);
enum { C = 3, H = 5, W = 7, LEAD = 16, ROW = 8, PLANE = 48 };
typedef struct { const float *a, *b; float *out; } args_t;

/* buffer = x * scale, in padded planes */
int32_t k_pad(const float *x, const float *scale, float *out) {
  for (int c = 0; c < C; ++c)
    for (int i = 0; i < H; ++i)
      for (int j = 0; j < W; ++j) out[LEAD + c * PLANE + i * ROW + j] = x[(c * H + i) * W + j] * scale[c];
  return 0;
}

/* 3x3 sums over the padded planes, channels shared out over the threads as TVM does it */
static int blur(int id, group_t *group, void *data) {
  args_t *p = data;
  int step = (C + group->num_task - 1) / group->num_task;
  for (int c = id * step; c < C && c < (id + 1) * step; ++c)
    for (int i = 0; i < H; ++i)
      for (int j = 0; j < W; ++j) {
        float sum = 0;
        for (int y = -1; y < 2; ++y)
          for (int x = -1; x < 2; ++x) sum += p->a[LEAD + c * PLANE + (i + y) * ROW + j + x];
        p->out[(c * H + i) * W + j] = sum;
      }
  return 0;
}
int32_t k_blur(const float *a, float *out) {
  args_t p = {a, NULL, out};
  return __TVMBackendParallelLaunch(blur, &p, 0);
}

/* out = a + bias, through two pieces of scratch memory freed in the wrong order */
int32_t k_bias(const float *a, const float *bias, float *out) {
  float *one = __TVMBackendAllocWorkspace(1, 0, sizeof(float) * C * H * W, 2, 32);
  float *two = __TVMBackendAllocWorkspace(1, 0, 100000, 2, 32);
  if (!one || !two || (uintptr_t)one % 64 || (uintptr_t)two % 64) return -1;
  memset(two, 255, 100000);
  for (int i = 0; i < C * H * W; ++i) one[i] = a[i] + bias[i / (H * W)];
  memcpy(out, one, sizeof(float) * C * H * W);
  __TVMBackendFreeWorkspace(1, 0, one);
  return __TVMBackendFreeWorkspace(1, 0, two);
}

/* out[2 * id] = 1 + threads of the launch, out[2 * id + 1] = threads of a nested one; out has room for 16 threads */
static int inner(int id, group_t *group, void *data) { *(float *)data = (float)group->num_task; return id; }
static int outer(int id, group_t *group, void *data) {
  float *out = data;
  out[2 * id] = 1 + (float)group->num_task;
  return __TVMBackendParallelLaunch(inner, &out[2 * id + 1], 0);
}
int32_t k_threads(float *out) {
  memset(out, 0, 32 * sizeof(float));
  return __TVMBackendParallelLaunch(outer, out, 0);
}

/* as k_threads, but asks for two threads */
int32_t k_two_threads(float *out) {
  memset(out, 0, 32 * sizeof(float));
  return __TVMBackendParallelLaunch(outer, out, 2);
}

static int fails(int id, group_t *group, void *data) { return id == group->num_task - 1 ? 7 : 0; }
int32_t k_fail(float *out) { return __TVMBackendParallelLaunch(fails, out, 0); }

static int nothing(int id, group_t *group, void *data) { return 0; }
int32_t k_launch(float *out) { return __TVMBackendParallelLaunch(nothing, out, 0); }

/* 1000 launches, for timing */
int32_t k_launch_often(float *out) {
  for (int i = 0; i < 1000; ++i)
    if (__TVMBackendParallelLaunch(nothing, out, 0)) return 1;
  return 0;
}

/* out[0] = threads of a launch; then waits for somebody to make out[1] other than 0 */
static int tells(int id, group_t *group, void *data) {
  if (!id) *(volatile float *)data = (float)group->num_task;
  return 0;
}
int32_t k_hold(float *out) {
  volatile float *go = out + 1;
  int code = __TVMBackendParallelLaunch(tells, out, 0);
  while (!*go) usleep(100);
  return code;
}

/* out[2] = threads of a launch */
int32_t k_then(float *out) { return __TVMBackendParallelLaunch(tells, out + 2, 0); }
"""


@functools.cache
def kernels(triple: str = TRIPLE) -> bytes:
    """The kernels as an object file."""
    name = f"kernels-{triple}"
    (folder() / f"{name}.c").write_text(SOURCE)
    find_compiler(None, triple=triple).run(
        ("-O2", "-g0", "-fPIC", "-c", f"{name}.c", "-o", f"{name}.o"), folder=folder()
    )
    return (folder() / f"{name}.o").read_bytes()


def tiny(name: str = "tiny") -> Program:
    """Pad and scale, 3x3 sums, bias: all places, gaps to clear, scratch memory and threads in three steps."""
    padded, sums = Ref("buffer", 0), Ref("buffer", 1)
    gaps = PadFill(padded, lead=LEAD, planes=3, plane_stride=PLANE, rows=5, row_stride=ROW, row_used=7, tail=TAIL)
    return Program(
        name=name,
        inputs=(Port("x", SHAPE),),
        outputs=(Port("y", SHAPE),),
        buffers=(PADDED, 4 * 3 * 5 * 7),
        weights=(np.array([1, 2, 3], "float32"), np.array([0.5, -0.5, 0], "float32")),
        steps=(
            Step("k_pad", "pad", (Ref("input", 0), Ref("weight", 0), padded), (2,), (gaps,)),
            Step("k_blur", "blur", (padded, sums), (1,)),
            Step("k_bias", "bias", (sums, Ref("weight", 1), Ref("output", 0)), (2,)),
        ),
        description={"target": "x86-64", "report": {"layers": []}},
    )


def tiny_reference(x: np.ndarray) -> np.ndarray:
    """What :func:`tiny` computes."""
    scaled = np.pad(x * np.array([1, 2, 3], "float32")[:, None, None], ((0, 0), (1, 1), (1, 1)))
    sums = sum(scaled[:, i : i + 5, j : j + 7] for i in range(3) for j in range(3))
    return sums + np.array([0.5, -0.5, 0], "float32")[:, None, None]


#: an input of :func:`tiny`, and its result
X = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
Y = tiny_reference(X)


def single(kernel: str, name: str = "single", size: int = 32) -> Program:
    """One kernel that writes the only output."""
    step = Step(kernel, kernel.removeprefix("k_"), (Ref("output", 0),), (0,))
    return Program(name, (), (Port("y", (size,)),), (), (), (step,), {"target": "x86-64"})


def held(name: str) -> Program:
    """A run that lasts until it is told to go on, and says how many threads it has before and after that."""
    one = single("k_hold", name=name)
    return replace(one, steps=(*one.steps, replace(one.steps[0], symbol="k_then", key="then")))


def two_ports(name: str = "pair") -> Program:
    """Two inputs and two outputs: :func:`tiny` applied to each."""
    one = tiny(name)
    steps = []
    for i in range(2):
        ports = {("input", 0): Ref("input", i), ("output", 0): Ref("output", i)}
        for step in one.steps:
            args = tuple(ports.get((r.place, r.index), r) for r in step.args)
            steps.append(replace(step, key=f"{step.key}{i}", args=args))
    ins, outs = (Port("a", SHAPE), Port("b", SHAPE)), (Port("c", SHAPE), Port("d", SHAPE))
    return replace(one, inputs=ins, outputs=outs, steps=tuple(steps))


def edited(**changes: object) -> Program:
    """:func:`tiny` with other fields."""
    return replace(tiny(), **changes)  # type: ignore[arg-type]


def with_step(index: int, **changes: object) -> Program:
    """:func:`tiny` with another step."""
    steps = list(tiny().steps)
    steps[index] = replace(steps[index], **changes)  # type: ignore[arg-type]
    return edited(steps=tuple(steps))


def sources() -> Sources:
    """All that the small network is linked from."""
    program = tiny()
    return sources_of(program, memory=plan_memory(program), kernels=kernels(), triple=TRIPLE, cpu_features=("sse2",))


def link(
    program: Program,
    out: Path,
    *,
    triple: str = TRIPLE,
    features: tuple[str, ...] = (),
    cc: str | None = None,
    static: bool = False,
) -> None:
    """Library of a program and the kernels, for any processor."""
    build_library(
        program, memory=plan_memory(program), kernels=kernels(triple), triple=triple, cpu_features=features, out=out,
        cc=cc, static=static,
    )  # fmt: skip


#: a compiler for libraries that always take all their threads, whoever else runs on this machine
LEARNS_NOTHING = "gcc -DSCC_LEARNS=0"


def build(
    program: Program,
    *,
    features: tuple[str, ...] = ("sse2",),
    file: str | None = None,
    static: bool = False,
    cc: str | None = None,
) -> Path:
    """Library and header of a program, in the test folder."""
    out = folder() / (file or f"{program.name}{'.a' if static else '.so'}")
    link(program, out, features=features, static=static, cc=cc)
    (folder() / f"{program.name}.h").write_text(header_of(program, memory=plan_memory(program), triple=TRIPLE))
    return out


def resealed(data: bytes) -> bytes:
    """A library that was edited, with the digest that its new bytes have."""
    edited = bytearray(data)
    seal = find_seal(elf.parse(bytes(edited), name="edited"))
    assert seal is not None
    sealed(edited, at=seal.offset)
    return bytes(edited)


@functools.cache
def tiny_library() -> Path:
    """:func:`tiny`, built once."""
    return build(tiny())


@functools.cache
def library_of(kernel: str) -> Path:
    """:func:`single` of a kernel, built once."""
    return build(single(kernel, name=kernel.removeprefix("k_")))
