"""From Relax operators to calls of our kernels: fuse, place, lower, assemble."""
