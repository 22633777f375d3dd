"""A library's C functions as Python methods: one instance with its memory and threads."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from sparsecc.errors import InternalError, LibraryError
from sparsecc.runtime.format import WRONG_CPU
from sparsecc.runtime.image import Image
from sparsecc.runtime.shapes import Shape

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
        self._several = _Several(self._function) if "shapes" in image.description else None
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

    def run(self, inputs: Sequence[int], outputs: Sequence[int], shape: Shape | None = None) -> None:
        """Run once on the arrays at these addresses; ``shape`` is theirs where the library has several."""
        arrays = _pointers(inputs), _pointers(outputs)
        if shape is None or self._several is None:
            code = self._run(self._handle, *arrays)
        elif shape.batch:
            code = self._several.run_batch(self._handle, shape.number, shape.batch, *arrays)
        else:
            code = self._several.run_shape(self._handle, shape.number, *arrays)
        if code:
            raise InternalError(self._error_text())

    def profile(
        self, inputs: Sequence[int], outputs: Sequence[int], *, steps: int, shape: Shape | None = None
    ) -> list[float]:
        """Run once; seconds of every step."""
        seconds = (ctypes.c_double * steps)()
        arrays = _pointers(inputs), _pointers(outputs), seconds
        if shape is None or self._several is None:
            code = self._profile(self._handle, *arrays)
        else:
            code = self._several.profile_shape(self._handle, shape.number, *arrays)
        if code:
            raise InternalError(self._error_text())
        return list(seconds)

    def pieces(self, shape: int, batch: int) -> int:
        """How many pieces a batch takes that is like a shape; 0 where it can't be run in pieces."""
        most = (1 << 63) - 1
        return 0 if self._several is None or batch > most else int(self._several.num_pieces(shape, batch))

    def set_threads(self, threads: int) -> int:
        """Use that many threads (0: the library chooses); how many are in use."""
        found = int(self._set_threads(self._handle, threads))
        if found < 0:
            raise InternalError(self._error_text())
        return found


class _Several:
    """The functions of a library for several shapes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        model, number, batch = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
        self.run_shape = function("run_shape", ctypes.c_int, model, number, _POINTERS, _POINTERS)
        self.run_batch = function("run_batch", ctypes.c_int, model, number, batch, _POINTERS, _POINTERS)
        self.profile_shape = function(
            "profile_shape", ctypes.c_int, model, number, _POINTERS, _POINTERS, ctypes.POINTER(ctypes.c_double)
        )
        self.num_pieces = function("num_pieces", batch, number, batch)


def _pointers(addresses: Sequence[int]) -> Any:
    return (ctypes.c_void_p * len(addresses))(*addresses)


def _destroy(destroy: Callable[[Any], None], handle: ctypes.c_void_p, image: Image) -> None:
    """Free an instance; ``image`` is an argument so that its code is still there."""
    destroy(handle)
