"""A Storage for stores that many processes hold together: partitions, leases, fences, hints."""
