"""Header blocks read, held against another reader and writer of them."""

import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable
from hypothesis import given
from hypothesis import strategies as st

from perdure.grpc_api.http2 import huffman
from perdure.grpc_api.http2.frames import ConnectionFailed, ErrorCode
from perdure.grpc_api.http2.header_decoder import HeaderDecoder, HeadersTooLarge
from perdure.grpc_api.http2.header_table import FIXED
from perdure.grpc_api.http2.limits import Limits

CODER = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
NAMES = st.sampled_from([b":path", b"taskhub", b"grpc-timeout", b"x", b"", b"te", b"a" * 300])
VALUES = st.one_of(st.binary(max_size=40), st.sampled_from([b"POST", b"trailers", b"b" * 5_000]))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


def decoder(**limits: int) -> HeaderDecoder:
    return HeaderDecoder(Limits(**{"header_list_bytes_max": 1_000_000, **limits}))


@given(st.binary(max_size=300))
def test_any_text_comes_back_from_its_code(text: bytes) -> None:
    assert huffman.decode(CODER.encode(text)) == text


@given(st.binary(max_size=40))
def test_what_is_no_code_is_refused_and_what_is_one_is_read_as_others_read_it(coded: bytes) -> None:
    try:
        expected = decode_huffman(coded)
    except hpack.HPACKDecodingError:
        with pytest.raises(ConnectionFailed):
            huffman.decode(coded)
    else:
        assert huffman.decode(coded) == expected


def test_the_fixed_fields_are_those_of_the_standard() -> None:
    assert FIXED == HeaderTable.STATIC_TABLE


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([None, 0, 100, 4_096])), max_size=8))
def test_blocks_of_another_writer_are_read(blocks: list[tuple[list[tuple[bytes, bytes]], bool, int | None]]) -> None:
    writer, reader = hpack.Encoder(), decoder()
    for fields, is_huffman, table_bytes in blocks:
        if table_bytes is not None:
            writer.header_table_size = table_bytes
        assert reader.decode(writer.encode(fields, huffman=is_huffman)) == fields


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_as_another_reader_does_or_refused(blocks: list[bytes]) -> None:
    theirs, ours = hpack.Decoder(max_header_list_size=1_000_000), decoder()
    for block in blocks:
        try:
            expected = [(bytes(name), bytes(value)) for name, value in theirs.decode(block, raw=True)]
        except hpack.HPACKError:
            with pytest.raises(ConnectionFailed):
                ours.decode(block)
            return
        assert ours.decode(block) == expected


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xbe",
        b"\xff\x80",
        b"\xff\xff\xff\xff\xff\xff\x7f",
        b"\x40",
        b"\x40\x05a",
        b"\x00\x01a\x85abc",
        b"\x82\x20",
        b"\x3f\xe2\x1f",
        b"\x00\x01a\x81\x00",
    ],
)
def test_a_broken_block_ends_the_connection(block: bytes) -> None:
    with pytest.raises(ConnectionFailed) as failed:
        decoder().decode(block)
    assert failed.value.code is ErrorCode.COMPRESSION_ERROR


def test_a_block_that_names_a_long_field_often_is_too_large_and_the_table_stays_in_step() -> None:
    writer, reader = hpack.Encoder(), decoder(header_list_bytes_max=10_000)
    long = (b"long", b"x" * 3_000)
    assert reader.decode(writer.encode([long])) == [long]
    bomb = writer.encode([long] * 60_000 + [(b"new", b"field")])
    assert len(bomb) < 61_000
    with pytest.raises(HeadersTooLarge):
        reader.decode(bomb)
    assert reader.decode(writer.encode([(b"new", b"field"), long])) == [(b"new", b"field"), long]


def test_many_small_fields_are_too_many() -> None:
    with pytest.raises(HeadersTooLarge):
        decoder(header_fields_max=3).decode(hpack.Encoder().encode([(b"a", b"b")] * 4))


def test_a_field_that_is_larger_than_the_table_empties_it() -> None:
    writer, reader = hpack.Encoder(), decoder()
    reader.decode(writer.encode([(b"a", b"b")]))
    reader.decode(b"\x40\x01c\x7f\xa1\x1f" + b"d" * 4_128)
    with pytest.raises(ConnectionFailed):
        reader.decode(b"\xbe")
