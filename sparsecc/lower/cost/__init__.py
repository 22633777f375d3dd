"""How long a kernel will take: an explicit model that gives every default config and the dense/sparse decision."""
