"""A small detector of coloured shapes: images, network, training, and what turns its outputs into boxes."""
