"""Results for people: Markdown tables and plots."""
