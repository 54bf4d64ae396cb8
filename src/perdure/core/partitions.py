"""Which partition an instance belongs to: a rule that stored rows depend on, so it never changes."""

from zlib import crc32


def partition_of(instance_id: str, count: int) -> int:
    """The partition of an instance or entity in a hub of ``count`` partitions, from 0."""
    # A lone surrogate is legal in a Python string; no store holds such an id, but asking must not fail.
    return crc32(instance_id.encode(errors="surrogatepass")) % count
