"""What the translation of one graph knows while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from sparsecc._tvm import relax, te, tirx
from sparsecc.errors import NotSupportedError
from sparsecc.importer.names import Keys, layer_name, module_path
from sparsecc.ir.epilogue import Activation
from sparsecc.ir.layer import Layer
from sparsecc.ir.quantized import Coded
from sparsecc.kernels import activation as expressions

#: attribute of a kernel that is one of our activations: its kind and constants as JSON
ACTIVATION = "sparsecc.activation"


class Context:
    """Values of translated nodes, the Relax function being built and the layers met so far."""

    def __init__(self, builder: Any, constants: dict[fx.Node, Any]) -> None:
        self.builder = builder
        self.values: dict[fx.Node, Any] = {}
        self.layers: dict[str, Layer] = {}
        self.keys = Keys()
        #: variable of values -> variable of the codes that stand for them
        self.codes: dict[Any, tuple[Any, Coded]] = {}
        #: nodes that give the same with codes in the place of what they read, and how each is translated
        self.movable: dict[fx.Node, Callable[[Context, fx.Node], Any]] = {}
        #: nodes whose values are tensors of integers, but for codes
        self.integers: set[fx.Node] = set()
        #: variable of integers -> the same as float32
        self.floats: dict[Any, Any] = {}
        self._constants = constants
        self._images: dict[Any, Any] = {}
        #: variable of a volume (n, c, d, h, w) -> that of its frames, the images (n * d, c, h, w)
        self._frames: dict[Any, Any] = {}

    def value(self, node: Any) -> Any:
        """Relax expression of a node (a tuple of them for several results); Python numbers pass through."""
        if not isinstance(node, fx.Node):
            return node
        if node not in self.values:
            self.values[node] = self._constant(self._constants[node])
        return self.values[node]

    def array(self, node: fx.Node, what: str) -> NDArray[Any]:
        """A constant operand as NumPy."""
        if node not in self._constants:
            raise NotSupportedError(f"layer {layer_name(node)}: {what} depends on the input, expected a constant")
        return _numpy(self._constants[node])

    def is_constant(self, node: Any) -> bool:
        """True when ``node`` is known before the network runs."""
        return isinstance(node, fx.Node) and node in self._constants

    def emit(self, expression: Any, name: str = "") -> Any:
        """Bind an expression to a variable."""
        return self.builder.emit(expression, name_hint=name)

    def layer(
        self, node: fx.Node, make: Callable[[str, str], Layer], x: Any, shape: Sequence[int], dtype: str = "float32"
    ) -> Any:
        """Emit a call of a layer that has a kernel of its own; its facts are kept under its key."""
        name = module_path(node)
        key = self.keys.take(name)
        self.layers[key] = make(key, name)
        out = relax.TensorType(tuple(shape), dtype)
        return self.emit(relax.op.call_dps_packed(key, relax.Tuple([x]), out), key)

    def compute(
        self, node: fx.Node, function: Callable[..., Any], *args: Any, attrs: dict[str, Any] | None = None
    ) -> Any:
        """Emit a call of a TE computation, named after its layer."""
        key = self.keys.take(module_path(node))
        call = self.builder.call_te(function, *args, primfunc_name_hint=key, primfunc_attrs=attrs)
        return self.emit(call, key)

    def as_image(self, x: Any, shape: Sequence[int]) -> Any:
        """A value in a shape of four axes: the one that it was made of, if that has it."""
        known = self._images.get(x)
        if known is not None and shape_of(known) == tuple(shape):
            return known
        self._images[x] = self.emit(relax.op.reshape(x, tuple(shape)))
        return self._images[x]

    def from_image(self, image: Any, shape: Sequence[int]) -> Any:
        """An image in another shape, which :meth:`as_image` takes back."""
        value = self.emit(relax.op.reshape(image, tuple(shape)))
        self._images[value] = image
        return value

    def frames(self, volume: Any) -> Any | None:
        """The frames that a volume was made of, if it was."""
        return self._frames.get(volume) if isinstance(volume, relax.Var) else None

    def as_frames(self, volume: Any) -> Any:
        """A volume ``(n, c, d, h, w)`` as images ``(n * d, c, h, w)``: those that it was made of, if it was."""
        known = self.frames(volume)
        if known is None:
            n, c, d, h, w = shape_of(volume)
            turned = volume if d == 1 else self.emit(relax.op.permute_dims(volume, [0, 2, 1, 3, 4]))
            known = self._frames[volume] = self.emit(relax.op.reshape(turned, (n * d, c, h, w)))
        return known

    def from_frames(self, images: Any, items: int) -> Any:
        """Images as the volumes of so many items, which :meth:`as_frames` takes back."""
        count, c, h, w = shape_of(images)
        dealt = self.emit(relax.op.reshape(images, (items, count // items, c, h, w)))
        volume = self.emit(relax.op.permute_dims(dealt, [0, 2, 1, 3, 4]))
        self._frames[volume] = images
        return volume

    def on_images(self, function: Callable[..., Any], *values: Any) -> Any:
        """An elementwise function of values of one shape; of the images that they were made of, if all were."""
        framed = [self.frames(value) for value in values]
        if None not in framed and len({shape_of(value) for value in values}) == 1:
            return self.from_frames(function(*framed), shape_of(values[0])[0])
        images = [self._images.get(value) if isinstance(value, relax.Var) else None for value in values]
        shapes = {None if image is None else shape_of(image) for image in images}
        if None in shapes or len(shapes | {None}) != 2 or len({shape_of(value) for value in values}) != 1:
            return function(*values)
        return self.from_image(function(*images), shape_of(values[0]))

    def finished(self, module: Any) -> Any:
        """The module without what nobody reads: sequences and volumes whose images are read, values whose codes are."""
        return relax.transform.DeadCodeElimination()(module) if self._images or self._frames or self.codes else module

    @property
    def origins(self) -> dict[Any, str]:
        """Relax variable -> name of the node with the same numbers."""
        found = {value: node.name for node, value in self.values.items() if isinstance(value, relax.Var)}
        return {**{image: found[value] for value, image in self._images.items() if value in found}, **found}

    def activation(self, node: fx.Node, act: Activation, x: Any) -> Any:
        """Emit an activation, marked so that it may join the layer before it."""
        function, attrs = activation_function(act)
        return self.on_images(lambda x: self.compute(node, function, x, attrs=attrs), x)

    def copy(self, node: fx.Node) -> Any:
        """Emit a kernel that copies a value; as bits, so that Relax does not take it for a reshape."""

        def bits(x: Any) -> Any:
            return tirx.reinterpret("float32", tirx.reinterpret("int32", x))

        return self.compute(node, lambda x: te.compute(x.shape, lambda *i: bits(x(*i)), name="copy"), self.value(node))

    @staticmethod
    def _constant(value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return tuple(Context._constant(v) for v in value)
        # beside a float32 tensor, PyTorch takes numbers of every type for float32
        return relax.const(_numpy(value).astype(np.float32))


def activation_function(act: Activation) -> tuple[Callable[[Any], Any], dict[str, Any]]:
    """An activation as a TE computation, and the attribute that marks its kernel."""

    def elementwise(x: Any) -> Any:
        return te.compute(x.shape, lambda *i: expressions.apply(act, x(*i)), name=act.kind)

    return elementwise, {ACTIVATION: json.dumps({"kind": act.kind, "params": list(act.params)})}


def shape_of(expression: Any) -> tuple[int, ...]:
    """Static shape of a Relax expression."""
    return tuple(int(extent) for extent in expression.ty.shape)


def image_shape(node: fx.Node, expression: Any) -> tuple[int, int, int, int]:
    """Shape of an operand that must be images with batch and channels."""
    shape = shape_of(expression)
    if len(shape) != 4:
        raise NotSupportedError(
            f"layer {layer_name(node)}: {node.target} of a tensor of shape {shape} is not supported, "
            "expected images (n, c, h, w)"
        )
    return (shape[0], shape[1], shape[2], shape[3])


def _numpy(value: Any) -> NDArray[Any]:
    array: NDArray[Any] = value.detach().contiguous().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return array
