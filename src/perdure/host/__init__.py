"""Builds the whole from settings: object graph, start and stop order, signals."""
