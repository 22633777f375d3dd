"""A library's C functions as Python methods: one instance with its memory and threads."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from sparsecc.errors import InternalError, LibraryError
from sparsecc.runtime.format import WRONG_CPU
from sparsecc.runtime.image import Image

_POINTERS = ctypes.POINTER(ctypes.c_void_p)


class Instance:
    """One instance of a loaded library; freed when the last reference is gone, so never during a run.

    A lean one has no copy of the weights on huge pages: its runs take less memory and more time.
    """

    def __init__(self, image: Image, *, lean: bool = False) -> None:
        self.is_lean = lean
        self._image = image  # the code must outlive the instance
        self._run = self._function("run", ctypes.c_int, ctypes.c_void_p, _POINTERS, _POINTERS)
        self._profile = self._function(
            "profile", ctypes.c_int, ctypes.c_void_p, _POINTERS, _POINTERS, ctypes.POINTER(ctypes.c_double)
        )
        self._set_threads = self._function("set_threads", ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
        self._last_error = self._function("last_error", ctypes.c_char_p)
        create = self._function("create_lean" if lean else "create", ctypes.c_int, ctypes.POINTER(ctypes.c_void_p))
        destroy = self._function("destroy", None, ctypes.c_void_p)
        handle = ctypes.c_void_p()
        code = create(ctypes.byref(handle))
        if code:
            raise (LibraryError if code == WRONG_CPU else InternalError)(self._error_text())
        self._handle = handle
        # at exit the system frees everything, also what a daemon thread may still be using
        weakref.finalize(self, _destroy, destroy, handle, image).atexit = False

    def _function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        function = self._image.functions[f"{self._image.name}_{name}"]
        function.restype = result
        function.argtypes = arguments
        return function

    def _error_text(self) -> str:
        return bytes(self._last_error() or b"unknown error").decode("utf-8", "replace")

    def run(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        """Run once on the arrays at these addresses."""
        if self._run(self._handle, _pointers(inputs), _pointers(outputs)):
            raise InternalError(self._error_text())

    def profile(self, inputs: Sequence[int], outputs: Sequence[int], *, steps: int) -> list[float]:
        """Run once; seconds of every step."""
        seconds = (ctypes.c_double * steps)()
        if self._profile(self._handle, _pointers(inputs), _pointers(outputs), seconds):
            raise InternalError(self._error_text())
        return list(seconds)

    def set_threads(self, threads: int) -> int:
        """Use that many threads (0: the library chooses); how many are in use."""
        found = int(self._set_threads(self._handle, threads))
        if found < 0:
            raise InternalError(self._error_text())
        return found


def _pointers(addresses: Sequence[int]) -> Any:
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _destroy(destroy: Callable[[Any], None], handle: ctypes.c_void_p, image: Image) -> None:
    """Free an instance; ``image`` is an argument so that its code is still there."""
    destroy(handle)
