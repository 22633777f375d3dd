"""Plain definitions of convolutional networks, for tests, benchmarks and the demo."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from .cost import multiply_adds
from .densenet import densenet121
from .efficientnet import efficientnet_b0
from .fpn import fpn
from .ghostnet import ghostnet
from .inception import inception_like
from .mnasnet import mnasnet
from .mobilenet import mobilenet_v1, mobilenet_v2, mobilenet_v3_large, mobilenet_v3_small
from .patterns import calibrate_batchnorm, impose_1xn
from .regnet import regnet_y_400mf
from .resnet import resnet18, resnet34, resnet50, resnext50, se_resnet50
from .shufflenet import shufflenet_v2
from .squeezenet import squeezenet
from .unet import unet, unet_prelu
from .vgg import vgg16
from .weights import randomise
from .yolo import darknet53_yolo

__all__ = ["NETS", "build", "calibrate_batchnorm", "impose_1xn", "multiply_adds"]

NETS: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_large": mobilenet_v3_large,
    "mobilenet_v3_small": mobilenet_v3_small,
    "mnasnet": mnasnet,
    "efficientnet_b0": efficientnet_b0,
    "ghostnet": ghostnet,
    "shufflenet_v2": shufflenet_v2,
    "squeezenet": squeezenet,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnext50": resnext50,
    "se_resnet50": se_resnet50,
    "regnet_y_400mf": regnet_y_400mf,
    "vgg16": vgg16,
    "densenet121": densenet121,
    "inception_like": inception_like,
    "darknet53_yolo": darknet53_yolo,
    "unet": unet,
    "unet_prelu": unet_prelu,
    "fpn": fpn,
}


def build(name: str, *, seed: int = 0, **kwargs: object) -> nn.Module:
    """Return network ``name`` in eval mode with seeded weights and calibrated batch norm.

    ``kwargs`` go to the constructor (``width``, ``classes``, ...). The caller's random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NETS[name](**kwargs)
        randomise(model)
        calibrate_batchnorm(model, torch.randn(2, 3, 224, 224))
    return model.eval()
