"""Networks of timm, torchvision, segmentation-models-pytorch and the detector's example, as files of participants.

``tests`` must be on the search path besides: :mod:`package_nets` imports torchvision beside any PyTorch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detector.net import Detector
from nets import calibrate_batchnorm, impose_1xn
from nets.patterns import prunable_layers
from package_nets import import_torchvision
from torch import Tensor, nn

import sparsecc
from bench.rivals.files import EXPECTED, INPUT, ONNX

OPSET = 17  # the first with a layer norm
LIBRARY = "sparse.so"  # where the benchmark's participant looks for its library
_N, _SPARSITY = 16, 0.75
#: a branch that starts with a smaller scale, 0 in RegNet and 1e-6 in ConvNeXt, would be removed, or hide what is wrong
_LEAST_SCALE = 1e-3


@dataclass(frozen=True)
class Modern:
    """A network: what tables call it, how it is made, pixels of its image."""

    label: str
    make: Callable[[], nn.Module]
    size: int


class _Flat(nn.Module):
    """Outputs as a tuple, in the order in which the network names them."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Apply it."""
        found = self.net(x)
        return tuple(found.values()) if isinstance(found, dict) else (found,)


def _timm(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import_torchvision()
        import timm

        model: nn.Module = timm.create_model(name)
        return model

    return make


def _deeplab() -> Any:
    models = import_torchvision().models
    return models.get_model("deeplabv3_mobilenet_v3_large", weights_backbone=None)


def _unet() -> Any:
    import_torchvision()
    import segmentation_models_pytorch as smp

    return smp.Unet("resnet18", encoder_weights=None, classes=3)


NETS = {
    "convnext_tiny": Modern("ConvNeXt-Tiny", _timm("convnext_tiny"), 224),
    "efficientnetv2_b0": Modern("EfficientNetV2-B0", _timm("tf_efficientnetv2_b0"), 224),
    "mobilenetv4_small": Modern("MobileNetV4-Conv-S", _timm("mobilenetv4_conv_small"), 224),
    "regnety_400mf": Modern("RegNetY-400MF", _timm("regnety_004"), 224),
    "detector_320": Modern("detector, 320", Detector, 320),
    "detector_640": Modern("detector, 640", Detector, 640),
    "deeplabv3_mobilenet": Modern("DeepLabV3-MobileNet-V3", _deeplab, 256),
    "unet": Modern("U-Net of ResNet-18", _unet, 256),
}


@torch.no_grad()
def made(net: Modern, *, pruned: bool) -> tuple[nn.Module, Tensor]:
    """Random weights, 1x16 at 75 % if ``pruned`` (not stem, depthwise ones and classifier), and an image."""
    torch.manual_seed(0)
    model = net.make().eval()
    for name, parameter in model.named_parameters():
        if name.endswith(("gamma", "weight")) and float(parameter.abs().max()) < _LEAST_SCALE:
            parameter.uniform_(0.1, 0.5)
    if pruned:
        impose_1xn(model, _N, _SPARSITY, include=_wide(model), seed=0)
    x = torch.randn(1, 3, net.size, net.size)
    calibrate_batchnorm(model, torch.cat([x, x.flip(2)]))
    return _Flat(model).eval(), x


def _wide(model: nn.Module) -> list[str]:
    """Layers with blocks to spare."""
    layers = {name: model.get_submodule(name) for name in prunable_layers(model)}
    return [
        name
        for name, layer in layers.items()
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.shape[0] // getattr(layer, "groups", 1) >= 2 * _N
    ]


def write(net: Modern, folder: Path, *, pruned: bool) -> None:
    """Compile for this machine, one thread, and export; what is there already stays."""
    if (folder / LIBRARY).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    model, x = made(net, pruned=pruned)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the TorchScript exporter is deprecated; rivals read its graphs best
        np.save(folder / INPUT, x.numpy())
        np.savez(folder / EXPECTED, *(output.numpy() for output in model(x)))
        torch.onnx.export(model, (x,), str(folder / ONNX), dynamo=False, opset_version=OPSET, input_names=["input"])
    sparsecc.compile(model, example_inputs=(x,), threads=1, verify=False).save(folder / LIBRARY)
