"""The intermediate representation: networks as frozen dataclasses on NumPy: no TVM, no torch."""
