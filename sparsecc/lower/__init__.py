"""Placed nodes become kernels: for every kernel what is legal, what it costs, and how it is made."""
