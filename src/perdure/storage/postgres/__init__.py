"""The storage in a PostgreSQL schema, for many processes."""
