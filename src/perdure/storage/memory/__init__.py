"""The reference model: a store in dictionaries."""
