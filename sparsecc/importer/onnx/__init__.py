"""ONNX files become exported programs of PyTorch's, and all that follows is the same."""
