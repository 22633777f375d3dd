"""How convolutions of 8-bit integers become kernels."""
