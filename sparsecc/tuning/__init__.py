"""Search for the fastest configs on the device itself; nothing here is needed to compile with what was found."""
