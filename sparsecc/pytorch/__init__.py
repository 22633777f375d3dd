"""Libraries in PyTorch's own words: a backend of ``torch.compile``, a module around a library."""
