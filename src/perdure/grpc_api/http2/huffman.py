"""The Huffman code of HPACK (RFC 7541 §5.2, appendix B), read only: nothing that we send is long enough for it."""

from perdure.grpc_api.http2.frames import ConnectionFailed, ErrorCode

_BYTES_BY_LENGTH = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: bytes.fromhex("00 24 40 5b 5d 7e"),
    14: b"^}",
    15: b"<`{",
    19: bytes.fromhex("5c c3 d0"),
    20: bytes.fromhex("80 82 83 a2 b8 c2 e0 e2"),
    21: bytes.fromhex("99 a1 a7 ac b0 b1 b3 d1 d8 d9 e3 e5 e6"),
    22: bytes.fromhex("81 84 85 86 88 92 9a 9c a0 a3 a4 a9 aa ad b2 b5 b9 ba bb bd be c4 c6 e4 e8 e9"),
    23: bytes.fromhex("01 87 89 8a 8b 8c 8d 8f 93 95 96 97 98 9b 9d 9e a5 a6 a8 ae af b4 b6 b7 bc bf c5 e7 ef"),
    24: bytes.fromhex("09 8e 90 91 94 9f ab ce d7 e1 ec ed"),
    25: bytes.fromhex("c7 cf ea eb"),
    26: bytes.fromhex("c0 c1 c8 c9 ca cd d2 d5 da db ee f0 f2 f3 ff"),
    27: bytes.fromhex("cb cc d3 d4 d6 dd de df f1 f4 f5 f6 f7 f8 fa fb fc fd fe"),
    28: bytes.fromhex("02 03 04 05 06 07 08 0b 0c 0e 0f 10 11 12 13 14 15 17 18 19 1a 1b 1c 1d 1e 1f 7f dc f9"),
    30: bytes.fromhex("0a 0d 16"),
}
"""Codes of one length follow each other in the order of their bytes, and go on where the shorter ones end."""
_END_OF_TEXT = 256
_START = 1
"""A place in the tree of codes is the bits that lead to it, behind a one."""
_PADDED_ENDS = frozenset((1 << bits) - 1 for bits in range(1, 9))
"""What may stand behind the last byte: less than eight ones."""


def decode(coded: bytes) -> bytes:
    """The text. Raises ConnectionFailed for what is no code."""
    steps, at, text = _STEPS, _START, bytearray()
    for byte in coded:
        first = at << 4 | byte >> 4
        at, decoded = steps.get(first) or _step(first)
        text += decoded
        second = at << 4 | byte & 15
        at, decoded = steps.get(second) or _step(second)
        text += decoded
    if at not in _PADDED_ENDS:
        raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, "A text ends in the middle of a code.")
    return bytes(text)


def _codes() -> dict[int, int]:
    codes: dict[int, int] = {}
    code = length = 0
    for next_length, coded in _BYTES_BY_LENGTH.items():
        code <<= next_length - length
        length = next_length
        for byte in coded:
            codes[1 << length | code] = byte
            code += 1
    codes[1 << length | code] = _END_OF_TEXT
    return codes


_CODES = _codes()
_STEPS: dict[int, tuple[int, bytes]] = {}
"""A place and the next four bits → where they lead, and what they complete; at most 4,096, made when needed."""


def _step(place_and_bits: int) -> tuple[int, bytes]:
    at, bits, decoded = place_and_bits >> 4, place_and_bits & 15, bytearray()
    for shift in (3, 2, 1, 0):
        at = at << 1 | bits >> shift & 1
        byte = _CODES.get(at)
        if byte == _END_OF_TEXT:
            raise ConnectionFailed(ErrorCode.COMPRESSION_ERROR, "A text has the code of its end inside.")
        if byte is not None:
            decoded.append(byte)
            at = _START
    step = _STEPS[place_and_bits] = at, bytes(decoded)
    return step
