"""What quantizing does to each layer by itself: it gets float inputs, and its result is compared with the float one."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from sparsecc.importer.names import module_path
from sparsecc.pytorch.quantized.report import LayerNoise, signal_to_noise

#: operators of layers with weights
LAYERS = frozenset(
    f"aten.{name}"
    for name in (
        "conv1d.default", "conv1d.padding", "conv2d.default", "conv2d.padding", "conv_transpose1d.default",
        "conv_transpose2d.input", "convolution.default", "linear.default", "addmm.default", "mm.default",
    )
)  # fmt: skip


class Recorder(fx.Interpreter):  # type: ignore[misc]  # torch's types are not followed
    """Runs a prepared model, and keeps what its operators give."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.values: dict[str, torch.Tensor] = {}
        #: layer's node -> share of its weights that are zero
        self.zeros: dict[str, float] = {}

    def run_node(self, n: fx.Node) -> Any:
        """What a node gives."""
        result = super().run_node(n)
        if n.op == "call_function" and isinstance(result, torch.Tensor):
            self.values[n.name] = result
        if str(n.target) in LAYERS:
            weight = self.fetch_args_kwargs_from_env(n)[0][_weight_at(n)]
            self.zeros[n.name] = float((weight == 0).double().mean())
        return result


class _Alone(fx.Interpreter):  # type: ignore[misc]
    """Runs a converted model, of which every operator gets what the float model's had."""

    def __init__(self, module: fx.GraphModule, recorder: Recorder) -> None:
        super().__init__(module)
        self._recorder = recorder
        self.layers: list[LayerNoise] = []

    def run_node(self, n: fx.Node) -> Any:
        """What a node gives; where the float model has it, too, what that gives."""
        result = super().run_node(n)
        exact = self._recorder.values.get(n.name)
        if str(n.target) in LAYERS and exact is not None:
            weight = self.fetch_args_kwargs_from_env(n)[0][_weight_at(n)]
            source: Any = n.args[_weight_at(n) - 1]
            coded = "dequantize" in str(source.target)
            noise = signal_to_noise(exact, result) if coded else None
            zeros = float((weight == 0).double().mean())
            self.layers.append(LayerNoise(module_path(n), noise, zeros, self._recorder.zeros[n.name]))
        is_border = "quantize" in str(n.target)
        return result if exact is None or is_border else exact


def noise_of(converted: fx.GraphModule, recorder: Recorder, example: tuple[Any, ...]) -> tuple[LayerNoise, ...]:
    """Noise of every layer of a converted model, by what the prepared one gave for the same example."""
    alone = _Alone(converted, recorder)
    alone.run(*example)
    return tuple(alone.layers)


def _weight_at(node: fx.Node) -> int:
    return 2 if "addmm" in str(node.target) else 1
