"""The last stage of the compiler: memory plan, weights, generated C, runtime and kernels become one library."""

from sparsecc.build.library import Built, build_library, write_header
from sparsecc.build.memory import ALIGNMENT, ArenaPlan, plan_arena

__all__ = ["ALIGNMENT", "ArenaPlan", "Built", "build_library", "plan_arena", "write_header"]
