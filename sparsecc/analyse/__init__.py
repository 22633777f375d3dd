"""What a network's weights look like and what is to be done with every layer: plain data on NumPy, no TVM, no torch."""
