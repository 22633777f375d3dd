"""Operators without a kernel of their own: what Relax made of them, in an order of its loops."""
