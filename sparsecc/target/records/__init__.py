"""Measured configs: their records, the files they are kept in, and which of them a layer uses."""
