"""Protobuf's wire encoding, as far as what is encoded for every event needs it.

Building message objects for each event costs more than twice as much as joining bytes. Whatever is rare goes through
``messages``.
"""

_SMALL = tuple(bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(1 << 14))
_TEXT_HEADS_MAX = 2048
_MASK_64 = (1 << 64) - 1


def varint(number: int) -> bytes:
    """An integer; a negative one as its 64-bit complement, as int32 and int64 fields have it."""
    return _SMALL[number] if 0 <= number < 16384 else _long_varint(number)


def _long_varint(number: int) -> bytes:
    number &= _MASK_64
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(field: int) -> bytes:
    """What opens a text, a message or bytes in this field."""
    return varint(field << 3 | 2)


def message(opening: bytes, body: bytes) -> bytes:
    """A message in the field that ``opening`` opens."""
    return opening + varint(len(body)) + body


def string(opening: bytes, value: str) -> bytes:
    """A string field; nothing when empty. Raises UnicodeEncodeError for a lone surrogate."""
    if not value:
        return b""
    raw = value.encode()
    return opening + varint(len(raw)) + raw


_TEXT_HEADS = (b"\x00", *(varint(len(varint(n)) + 1 + n) + b"\x0a" + varint(n) for n in range(1, _TEXT_HEADS_MAX)))


def text(opening: bytes, value: str | None) -> bytes:
    """A nullable text; nothing for None, a present empty one for "". Raises UnicodeEncodeError for a lone surrogate."""
    if value is None:
        return b""
    raw = value.encode()
    size = len(raw)
    if size < _TEXT_HEADS_MAX:
        return opening + _TEXT_HEADS[size] + raw
    head = b"\x0a" + varint(size)
    return b"".join((opening, varint(len(head) + size), head, raw))


def texts(opening: bytes, values: dict[str, str] | None) -> bytes:
    """A map of strings."""
    if not values:
        return b""
    return b"".join(message(opening, string(b"\x0a", key) + string(b"\x12", value)) for key, value in values.items())


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The integer at a place, and the place after it."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
