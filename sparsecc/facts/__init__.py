"""What is known about a network, as frozen dataclasses on NumPy: no TVM, no torch."""
