"""One task hub in one SQLite file."""
