"""Networks of timm, torchvision and segmentation-models-pytorch: which, how they are made, and for which images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Net:
    """How to make a network, and shapes of its inputs; packages are imported when it is made."""

    make: Callable[[], nn.Module]
    shapes: tuple[Shape, ...]


def _timm(name: str, size: int, options: Mapping[str, Any]) -> Net:
    def make() -> nn.Module:
        import_torchvision()
        import timm

        return timm.create_model(name, **options)

    return Net(make, ((1, 3, size, size),))


def _torchvision(name: str, shape: Shape, options: Mapping[str, Any]) -> Net:
    return Net(lambda: import_torchvision().models.get_model(name, **options), (shape,))


def _detector(name: str, size: int, regions: int) -> Net:
    made = {"weights": None, "weights_backbone": None}
    shapes = ((1, 3, size, size), (2, 256, 7, 7), (2, 256, 14, 14))
    return Net(lambda: Detector(import_torchvision().models.get_model(name, **made)), shapes[: 1 + regions])


def _segmentation(name: str, encoder: str) -> Net:
    def make() -> nn.Module:
        import_torchvision()
        import segmentation_models_pytorch as smp

        return getattr(smp, name)(encoder, encoder_weights=None, classes=3)

    size = 256 if name == "PAN" else 64  # it pools three times more
    return Net(make, ((1, 3, size, size),))


class Detector(nn.Module):
    """Backbone and heads of a detector of torchvision.

    What is between them and behind them, regions and non-maximum suppression, has no fixed shapes. Heads of regions
    read features of two of them.
    """

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor, *regions: Tensor) -> Any:
        """Apply backbone and heads."""
        found = self.detector.backbone(x)
        features = list(found.values()) if isinstance(found, dict) else [found]
        if not regions:
            return self.detector.head(features)
        heads, results = self.detector.roi_heads, list(self.detector.rpn.head(features))
        results += heads.box_predictor(heads.box_head(regions[0]))
        for head in ("mask", "keypoint"):
            if len(regions) > 1 and getattr(heads, f"{head}_head") is not None:
                predictor = getattr(heads, f"{head}_predictor")
                results.append(predictor(getattr(heads, f"{head}_head")(regions[1])))
        return results


#: keeps declarations for as long as the process runs
_DECLARED: list[Any] = []


def import_torchvision() -> Any:
    """torchvision; its wheel on PyPI has operators for CUDA's PyTorch, of which it asks two when it is imported.

    With another PyTorch they are declared here: no network of the list calls them.
    """
    if not _DECLARED and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
    import torchvision

    return torchvision


#: options by which networks of fixed image sizes take others
_SIZED = {"img_size": 64}
_TIMM_SIZED = (
    "botnet26t_256", "cait_xxs24_224", "coat_tiny", "coat_lite_tiny", "coatnet_pico_rw_224", "convit_tiny",
    "deit_tiny_patch16_224", "eca_botnext26ts_256", "efficientformerv2_s0", "gcvit_xxtiny", "gmlp_s16_224",
    "hiera_tiny_224", "levit_128s", "levit_conv_128s", "maxvit_rmlp_pico_rw_256", "mixer_s32_224", "nest_tiny",
    "pit_ti_224", "resmlp_12_224",
)  # fmt: skip
_TIMM_ANY = (
    "convmixer_768_32", "convnext_atto", "convnext_tiny", "convnextv2_atto", "cpubone_nano", "crossvit_tiny_240",
    "cs3darknet_s", "csatv2", "cspdarknet53", "cspresnet50", "darknet17", "davit_tiny", "densenet121", "dla46_c",
    "dpn68", "eca_nfnet_l0", "ecaresnet26t", "edgenext_xx_small", "efficientnet_b0", "efficientnet_lite0",
    "efficientvim_m1", "efficientvit_b0", "efficientvit_m0", "ese_vovnet19b_dw", "fasternet_t0", "fastvit_t8",
    "fbnetc_100", "focalnet_tiny_srf", "gcresnet33ts", "gernet_s", "ghostnet_050", "ghostnetv2_100",
    "hardcorenas_a", "hgnet_tiny", "hgnetv2_b0", "hrnet_w18_small", "iformer_t", "inception_next_atto",
    "lambda_resnet26t", "lcnet_050", "legacy_seresnet18", "lowformer_b0", "mambaout_femto", "mixnet_s",
    "mnasnet_small", "mobilenetv2_050", "mobilenetv3_small_050", "mobilenetv4_conv_small_050",
    "mobilenetv4_hybrid_medium", "mobileone_s0", "mobilevit_xxs", "mobilevitv2_050", "mvitv2_tiny", "nextvit_small",
    "nf_regnet_b0", "nf_resnet26", "poolformer_s12", "poolformerv2_s12", "pvt_v2_b0", "rdnet_tiny", "regnetx_002",
    "regnety_002", "regnetz_005", "repghostnet_050", "repvgg_a0", "repvit_m0_9", "res2net50_14w_8s", "resnest14d",
    "resnet10t", "resnet18", "resnet26d", "resnetaa34d", "resnetblur50", "resnetv2_18", "resnetv2_50d_gn",
    "rexnet_100", "selecsls42b", "seresnet18", "skresnet18", "spnasnet_100", "starnet_s050",
    "swiftformer_xs", "tf_efficientnet_b0", "tf_efficientnetv2_b0", "tinynet_e", "tresnet_m", "vgg11",
    "visformer_tiny", "convformer_s18", "caformer_s18", "resnetrs50", "legacy_xception", "xception41",
)  # fmt: skip
#: one of those takes any size, but has to be told
_ALIKE = {"visformer_tiny": _SIZED}
_TIMM_OTHER: dict[str, tuple[int, dict[str, Any]]] = {
    "bat_resnext26ts": (256, {}),
    "efficientformer_l1": (224, {}),
    "halonet26t": (256, {}),
    "inception_resnet_v2": (96, {}),
    "inception_v4": (96, {}),
    "swin_tiny_patch4_window7_224": (56, {"img_size": 56}),
    "vit_tiny_patch16_224": (64, _SIZED),
    "vit_tiny_r_s16_p8_224": (64, _SIZED),
    "xcit_nano_12_p16_224": (64, {}),
    "twins_svt_small": (64, _SIZED),
    "shvit_s1": (128, {}),
    "tiny_vit_5m_224": (224, {}),
    "tnt_s_patch16_224": (64, _SIZED),
}
_TORCHVISION_ANY = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_t",
    "vgg11_bn",
)  # fmt: skip
_TORCHVISION: dict[str, tuple[Shape, dict[str, Any]]] = {
    **{name: ((1, 3, 64, 64), {}) for name in _TORCHVISION_ANY},
    "googlenet": ((1, 3, 64, 64), {"init_weights": False}),
    "inception_v3": ((1, 3, 96, 96), {"init_weights": False}),
    "maxvit_t": ((1, 3, 224, 224), {}),
    **{
        name: ((1, 3, 64, 64), {"weights_backbone": None})
        for name in ("deeplabv3_mobilenet_v3_large", "deeplabv3_resnet50", "fcn_resnet50", "lraspp_mobilenet_v3_large")
    },
    "r3d_18": ((1, 3, 8, 64, 64), {}),
    "mc3_18": ((1, 3, 8, 64, 64), {}),
    "r2plus1d_18": ((1, 3, 8, 64, 64), {}),
    "s3d": ((1, 3, 16, 224, 224), {}),
    "swin3d_t": ((1, 3, 8, 64, 64), {}),
}
#: image size, and how many heads of regions
_DETECTORS = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": (96, 1),
    "fasterrcnn_resnet50_fpn_v2": (96, 1),
    "fcos_resnet50_fpn": (96, 0),
    "keypointrcnn_resnet50_fpn": (96, 2),
    "maskrcnn_resnet50_fpn": (96, 2),
    "retinanet_resnet50_fpn_v2": (96, 0),
    "ssd300_vgg16": (300, 0),
    "ssdlite320_mobilenet_v3_large": (96, 0),
}
_SEGMENTATION = (
    ("Unet", "resnet18"), ("UnetPlusPlus", "resnet18"), ("MAnet", "resnet18"), ("Linknet", "resnet18"),
    ("FPN", "resnet18"), ("PSPNet", "resnet18"), ("PAN", "resnet18"), ("DeepLabV3", "resnet18"),
    ("DeepLabV3Plus", "resnet18"), ("UPerNet", "resnet18"), ("Segformer", "mit_b0"), ("Unet", "mobilenet_v2"),
    ("Unet", "efficientnet-b0"), ("FPN", "mobileone_s0"), ("Unet", "mit_b0"),
)  # fmt: skip

#: "package: name" -> the network
NETS: dict[str, Net] = {
    **{f"timm: {name}": _timm(name, 64, _SIZED) for name in _TIMM_SIZED},
    **{f"timm: {name}": _timm(name, 64, _ALIKE.get(name, {})) for name in _TIMM_ANY},
    **{f"timm: {name}": _timm(name, size, options) for name, (size, options) in _TIMM_OTHER.items()},
    **{f"torchvision: {name}": _torchvision(name, *how) for name, how in _TORCHVISION.items()},
    **{f"torchvision: {name}": _detector(name, *how) for name, how in _DETECTORS.items()},
    **{
        f"segmentation-models-pytorch: {name} of {encoder}": _segmentation(name, encoder)
        for name, encoder in _SEGMENTATION
    },
}
