"""What may be varied: for every kind of kernel its configs, and which of them are legal for a layer and a target."""
