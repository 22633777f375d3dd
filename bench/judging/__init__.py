"""Which of the project's aims results meet."""
