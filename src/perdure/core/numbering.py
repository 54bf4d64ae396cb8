"""What the numbers of rows and instances tell.

A store that one process holds gives them in rising order; on a shared one each process gives those of its own blocks.
"""

BLOCK_BITS = 32
"""The numbers of a block agree in what is above these bits."""


def was_before(position: int, number: int) -> bool:
    """Whether a row with this position was there before the instance of that number, as far as numbers tell.

    Those of different blocks say nothing: then no, so that no message of the instance is taken for its predecessor's.
    """
    return position <= number and position >> BLOCK_BITS == number >> BLOCK_BITS
