"""What was found: facts as they stand in JSON, and the figures made from them."""
