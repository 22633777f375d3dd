"""Libraries of one network for the workers of a service, a thread each."""

from __future__ import annotations

import copy
import queue
from os import PathLike

import numpy as np
from numpy.typing import NDArray

import sparsecc

Images = NDArray[np.float32]


class Pool:
    """A network of one input and one output, and a library of it for each worker.

    Parameters
    ----------
    path : path
        The library, of any batch size. The file may be replaced; :meth:`load` then takes the new one.
    workers : int
        How many calls may run at once: the cores that the service may use, or fewer.
    """

    def __init__(self, path: str | PathLike[str], *, workers: int) -> None:
        self.path, self.workers = path, workers
        self.load()

    def load(self) -> None:
        """Take the network that the file has now; a file that is damaged raises LibraryError and changes nothing."""
        first = sparsecc.load(self.path, threads=1)
        libraries: queue.SimpleQueue[sparsecc.Library] = queue.SimpleQueue()
        for library in (first, *(copy.copy(first) for _ in range(self.workers - 1))):
            libraries.put(library)
        # calls that are under way give theirs back to the old queue, which goes with the last of them
        self._libraries, self.build = libraries, str(first.description["build"])
        self.image_shape = first.inputs[0].shape[1:]

    def __call__(self, images: Images) -> Images:
        """Results of any number of images: as many at once as the library's batch size, the last ones padded."""
        libraries = self._libraries
        library = libraries.get()
        try:
            batch = library.inputs[0].shape[0]
            padded = np.concatenate([images, np.zeros((-len(images) % batch, *images.shape[1:]), images.dtype)])
            parts = [library(padded[i : i + batch]) for i in range(0, len(padded), batch)]
            return np.concatenate(parts)[: len(images)]
        finally:
            libraries.put(library)
