"""Names that programs of the official package reach by this path."""
