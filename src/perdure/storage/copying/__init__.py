"""A hub taken from one store to another, row by row, with its running instances."""
