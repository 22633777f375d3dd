"""Compare a compiled network with PyTorch, on whatever can run it; name the first layer that differs."""

from sparsecc.verify.check import Verified, check
from sparsecc.verify.elsewhere import check_elsewhere, verify_compiled
from sparsecc.verify.pieces import computes_apart
from sparsecc.verify.trace import first_difference

__all__ = ["Verified", "check", "check_elsewhere", "computes_apart", "first_difference", "verify_compiled"]
