"""Parts that few programs need; each is imported by its own name."""
