"""What is measured: the cells of a run, their pruned networks and the work in them."""
