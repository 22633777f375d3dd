"""The cost model's constants of the core this runs on, fitted to timings of small kernels."""
