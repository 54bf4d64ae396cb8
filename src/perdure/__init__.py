"""perdure: durable execution for Python. Importing this package imports nothing else."""

__version__ = "0.1.0"
