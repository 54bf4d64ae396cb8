"""The whole hub from one integer: workload, interleaving, latencies and faults; every commit is checked."""
