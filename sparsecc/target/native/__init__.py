"""What is known of this machine's processor: figures for the cost model, shipped or measured."""
