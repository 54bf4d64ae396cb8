"""Workloads A to F, crash and recovery, against perdure and its peers: ``python -m benchmarks --help``."""
