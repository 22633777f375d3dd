"""How fast a network would be if it were pruned, by the compiler's own cost model: before any training."""
