"""Numbers tell the order of what one process has numbered, and nothing else."""

from perdure.core.numbering import BLOCK_BITS, was_before

BLOCK = 1 << BLOCK_BITS


def test_within_a_block_the_lower_number_was_first():
    assert was_before(7, 8)
    assert not was_before(9, 8)
    assert was_before(3 * BLOCK + 7, 3 * BLOCK + 8)


def test_numbers_of_different_blocks_tell_nothing():
    assert not was_before(BLOCK - 1, BLOCK + 8)
    assert not was_before(2 * BLOCK, BLOCK)
