"""A place in a kernel at which the compiler forgets what it has loaded."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sparsecc._tvm import IMPORTED, T

_NAME = "scc_forget"
#: no instruction: only a claim that memory changes
_SOURCE = f"""
define i32 @{_NAME}() alwaysinline nounwind {{
  call void asm sideeffect "", "~{{memory}}"()
  ret i32 0
}}
"""


def may_forget() -> AbstractContextManager[object]:
    """Around code that calls :func:`forget`."""
    scope: AbstractContextManager[object] = T.attr(0, IMPORTED, _SOURCE)
    return scope


def forget() -> None:
    """From here on memory is read anew, also what was read before; no instruction."""
    T.evaluate(T.call_extern("int32", _NAME))
