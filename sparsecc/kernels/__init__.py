"""What is computed: one strategy a file, as TensorIR before scheduling."""
