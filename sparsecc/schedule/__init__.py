"""How it is computed: one recipe a kernel, from a config of knobs to a scheduled TensorIR function."""
