"""The last stage of the compiler: memory plan, weights, generated C, runtime and kernels become one library."""

from sparsecc.build.library import Built, build_library, header_of
from sparsecc.build.memory import ALIGNMENT, ArenaPlan, plan_arena
from sparsecc.build.memory_plan import MemoryPlan, plan_memory

__all__ = ["ALIGNMENT", "ArenaPlan", "Built", "MemoryPlan", "build_library", "header_of", "plan_arena", "plan_memory"]
