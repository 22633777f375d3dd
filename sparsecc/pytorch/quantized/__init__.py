"""From a float model, pruned or not, to a quantized program, by torchao."""
