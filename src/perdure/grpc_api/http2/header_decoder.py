"""Header blocks read (RFC 7541): bounded in what one may cost, and in step with the peer's table whatever it holds."""

from perdure.grpc_api.http2 import huffman
from perdure.grpc_api.http2.frames import ConnectionFailed, ErrorCode
from perdure.grpc_api.http2.header_table import FIELD_BYTES, FIXED, Field, HeaderTable
from perdure.grpc_api.http2.limits import Limits

_NUMBER_BYTES_MAX = 4
"""Behind a full prefix: 28 bits, more than any number here may have."""


class HeadersTooLarge(Exception):
    """The block was read, and its fields are more than a request may have."""


class HeaderDecoder:
    """Reads one peer's header blocks, in the order they come."""

    def __init__(self, limits: Limits) -> None:
        self.table = HeaderTable(limits.header_table_bytes)
        self._bytes_max = limits.header_list_bytes_max
        self._fields_max = limits.header_fields_max

    def decode(self, block: bytes) -> list[Field]:
        """The fields. Raises ConnectionFailed for what cannot be read, and HeadersTooLarge."""
        try:
            return self._decode(block)
        except IndexError:
            raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, "A header block ends too early.") from None

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        table, at, end, size = self.table, 0, len(block), 0
        while at < end:
            byte = block[at]
            at += 1
            if byte & 0x80:
                number = byte & 0x7F
                if number == 0x7F:
                    number, at = _long_number(block, at, 0x7F)
                field = FIXED[number - 1] if 0 < number < 62 else table.field(number)
            elif byte & 0x40:
                field, at = self._literal(block, at, byte & 0x3F, 0x3F)
                table.add(field)
            elif byte & 0x20:
                if size:
                    raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, "A table changes size between two fields.")
                number = byte & 0x1F
                if number == 0x1F:
                    number, at = _long_number(block, at, 0x1F)
                table.resize(number)
                continue
            else:
                field, at = self._literal(block, at, byte & 0x0F, 0x0F)
            size += len(field[0]) + len(field[1]) + FIELD_BYTES
            # What is too much is read to its end all the same, for the sake of the table.
            if size <= self._bytes_max:
                fields.append(field)
        if size > self._bytes_max or len(fields) > self._fields_max:
            text = f"A call may have {self._fields_max} headers and {self._bytes_max:,} bytes of them."
            raise HeadersTooLarge(text)
        return fields

    def _literal(self, block: bytes, at: int, number: int, prefix: int) -> tuple[Field, int]:
        if number == prefix:
            number, at = _long_number(block, at, prefix)
        if number:
            name = self.table.field(number)[0]
        else:
            name, at = _text(block, at)
        value, at = _text(block, at)
        return (name, value), at


def _text(block: bytes, at: int) -> tuple[bytes, int]:
    byte = block[at]
    at += 1
    size = byte & 0x7F
    if size == 0x7F:
        size, at = _long_number(block, at, 0x7F)
    end = at + size
    if end > len(block):
        raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, "A text is longer than its header block.")
    text = block[at:end]
    return (huffman.decode(text) if byte & 0x80 else text), end


def _long_number(block: bytes, at: int, prefix: int) -> tuple[int, int]:
    """A number that its prefix is too short for."""
    number = prefix
    for count in range(_NUMBER_BYTES_MAX):
        byte = block[at + count]
        number += (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return number, at + count + 1
    raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, "A number in a header block is too long.")
