"""The shortest way from a PyTorch model to a library: prune, compile, run, save."""

import torch
from nets import build, impose_1xn

import sparsecc

model = build("mobilenet_v1")
impose_1xn(model, 16, 0.75)  # stands for your pruned, trained model: blocks of 16 output channels, 75 % of them zero
x = torch.randn(1, 3, 224, 224)

lib = sparsecc.compile(model, target="native", example_inputs=(x,))  # compares itself with PyTorch
print(lib.report)  # what was decided for every layer, and why
y = lib(x)  # tensors in, tensors out; or NumPy in, NumPy out
lib.save("model.so")  # and model.h, for C; sparsecc.load("model.so") runs it without PyTorch and TVM
