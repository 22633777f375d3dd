"""A folder that runs on the board: library, header, examples, a loader for Python, a benchmark."""
