"""Messages as calls carry them: a prefix of five bytes, and perhaps compressed."""

import asyncio
import zlib

from perdure.grpc_api.call_heads import IDENTITY
from perdure.grpc_api.codes import Code

PREFIX_BYTES = 5
_WINDOW_BITS = {"gzip": 31, "deflate": 15}
_AT_ONCE_BYTES = 1024 * 1024
"""So much is decompressed in the loop's turn; the rest, if there is more, beside the loop."""


class BadMessage(Exception):
    """The request is not one message that may be answered."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


def framed(message: bytes) -> bytes:
    """A message to send."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def told_bytes(body: bytes | bytearray) -> int | None:
    """How long the message will be; None when its prefix has not come."""
    return int.from_bytes(body[1:PREFIX_BYTES], "big") if len(body) >= PREFIX_BYTES else None


def check_size(size: int, bytes_max: int) -> None:
    """Raises BadMessage, in words that clients of gRPC's own servers know."""
    if size > bytes_max:
        text = f"Received message larger than max ({size} vs. {bytes_max}): no message to this server may be larger."
        raise BadMessage(Code.RESOURCE_EXHAUSTED, text)


def check_whole(body: bytes | bytearray) -> bool:
    """Whether the body's one message is compressed. Raises BadMessage when it is not one message."""
    size = told_bytes(body)
    if size is None or len(body) != PREFIX_BYTES + size or body[0] > 1:
        raise BadMessage(Code.INTERNAL, "The request is not one message: its prefix does not go with its length.")
    return body[0] == 1


async def decompressed(message: bytes, encoding: str, bytes_max: int) -> bytes:
    """The message. Raises BadMessage."""
    bits = _WINDOW_BITS.get(encoding)
    if bits is None:
        if encoding == IDENTITY:
            raise BadMessage(Code.INTERNAL, "The message is compressed, and the call does not say how.")
        text = f"Messages may be compressed with gzip or deflate, not with '{encoding}'."
        raise BadMessage(Code.UNIMPLEMENTED, text)
    decompressor = zlib.decompressobj(bits)
    try:
        result = decompressor.decompress(message, min(_AT_ONCE_BYTES, bytes_max + 1))
        if not decompressor.eof and len(result) == _AT_ONCE_BYTES <= bytes_max:
            more = bytes_max + 1 - len(result)
            result += await asyncio.to_thread(decompressor.decompress, decompressor.unconsumed_tail, more)
    except zlib.error as error:
        raise BadMessage(Code.INTERNAL, f"The message cannot be decompressed: {error}") from None
    check_size(len(result), bytes_max)
    if not decompressor.eof or decompressor.unused_data:
        raise BadMessage(Code.INTERNAL, "The message cannot be decompressed: it has no end, or something behind it.")
    return result
