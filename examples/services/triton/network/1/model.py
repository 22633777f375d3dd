"""A network in Triton's Python backend: network.so and pool.py stand beside this file.

A library called model.so would be imported in this file's place, as a module of Python.

Each instance is a process of its own with one library of one thread; ``instance_group`` in config.pbtxt says how many.
Triton puts requests together; their images are computed as one batch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton
from pool import Pool

import sparsecc

LIBRARY = Path(__file__).parent / "network.so"


class TritonPythonModel:
    """What Triton calls."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Name and shape of input and output, as the library has them: the first dimension is Triton's batch."""
        with sparsecc.load(LIBRARY, threads=1) as library:
            for add, (port, *more) in ((config.add_input, library.inputs), (config.add_output, library.outputs)):
                if more:
                    raise ValueError(f"{LIBRARY}: this example serves networks of one input and one output")
                add({"name": port.name, "data_type": "TYPE_FP32", "dims": list(port.shape[1:])})
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the library; a new version of the model, or the same loaded again, is a new instance."""
        self.pool = Pool(LIBRARY, workers=1)
        with sparsecc.load(LIBRARY, threads=1) as library:
            self.input, self.output = library.inputs[0].name, library.outputs[0].name

    def execute(self, requests: list[Any]) -> list[Any]:
        """Results of requests that came together."""
        images = [triton.get_input_tensor_by_name(request, self.input).as_numpy() for request in requests]
        try:
            results = self.pool(np.concatenate(images))
        except sparsecc.SparseccError as error:
            failed = triton.TritonError(str(error))
            return [triton.InferenceResponse(error=failed) for _ in requests]
        parts = np.split(results, np.cumsum([len(array) for array in images])[:-1])
        return [triton.InferenceResponse([triton.Tensor(self.output, part.copy())]) for part in parts]
