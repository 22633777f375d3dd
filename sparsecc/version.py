"""The version, for checkouts that are not installed too; a test holds it against pyproject.toml."""

VERSION = "0.1.0"
