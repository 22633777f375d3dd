"""When the direct kernel asks for weights ahead of their use.

A convolution on a small image uses every weight for few pixels: the weights stream by, and the hardware's own
prefetchers, which stop at the end of a page, do not keep up. Measured on one core of a Zen 4, products of Winograd's
algorithm at 7 x 7 and 512 channels (16.8 MB of weights): 1.69 ms without, 1.49, 1.37, 1.29, 1.30 and 1.26 ms with 128,
256, 512, 1024 and 2048 floats; dense ResNet-18 20.7 and 18.6 ms, ResNet-50 66.1 and 63.5 ms. Weights that stay in the
second cache need none: then it only costs instructions, 14 % of MobileNet-V1 when all its layers did it. On a Zen 5
larger kernels gain too: 3x3 layers at 7 x 7 and 512 channels, N = 4, half pruned (4.7 MB) take 0.64 ms in the place of
0.87, ResNet-50 21.4 in the place of 22.6. On a Zen 3 they lose, 0.95 ms in the place of 0.80 at 75 %, and only 1x1
kernels and Winograd's products gain (1.39 in the place of 1.70 ms at 512 channels).
"""

from __future__ import annotations

from sparsecc.target import Target

#: floats
PREFETCH_DISTANCE = 512
#: share of the second cache that weights may take before they are expected beyond it
_L2_SHARE = 0.25


def prefetch_distance(nbytes: int, target: Target, *, taps: int = 1) -> int:
    """Floats ahead of their use at which weights of ``nbytes`` bytes are asked for; 0 for not at all."""
    gains = taps == 1 or target.core_model.prefetches_taps
    return PREFETCH_DISTANCE if gains and nbytes > _L2_SHARE * target.l2_bytes else 0
