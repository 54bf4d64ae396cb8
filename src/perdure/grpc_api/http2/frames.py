"""The frames of HTTP/2 (RFC 9113 §4, §6) and the codes its errors have (§7)."""

from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
"""Of a frame: size, kind, flags, stream."""
STREAM_MAX = WINDOW_MAX = (1 << 31) - 1
FIRST_WINDOW = 65_535
FIRST_FRAME_BYTES_MAX = 16_384
FIRST_TABLE_BYTES = 4_096
"""What holds until a peer's settings say something else."""

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20


class ErrorCode(IntEnum):
    """Why a stream or a connection ends."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class Setting(IntEnum):
    """What a SETTINGS frame may set."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ConnectionFailed(Exception):
    """The peer broke a rule, or a limit, that only the end of the connection can answer."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class StreamFailed(Exception):
    """The peer broke a rule on one stream; the others go on."""

    def __init__(self, number: int, code: ErrorCode, text: str) -> None:
        super().__init__(text)
        self.number = number
        self.code = code


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    """One frame."""
    return b"%b%c%c%b%b" % (len(body).to_bytes(3, "big"), kind, flags, stream.to_bytes(4, "big"), body)


def frame_head(size: int, kind: int, flags: int, stream: int) -> bytes:
    """What goes before ``size`` bytes."""
    return b"%b%c%c%b" % (size.to_bytes(3, "big"), kind, flags, stream.to_bytes(4, "big"))


def settings_frame(settings: dict[Setting, int]) -> bytes:
    """Our settings."""
    body = b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in settings.items())
    return frame(SETTINGS, 0, 0, body)


def window_frame(stream: int, by: int) -> bytes:
    """The peer may send so many bytes more."""
    return frame(WINDOW_UPDATE, 0, stream, by.to_bytes(4, "big"))


def reset_frame(stream: int, code: ErrorCode) -> bytes:
    """The stream ends here."""
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def goaway_frame(last: int, code: ErrorCode, text: str = "") -> bytes:
    """No stream above ``last`` is answered."""
    told = text.encode("ascii", "replace")[:200]
    return frame(GOAWAY, 0, 0, last.to_bytes(4, "big") + code.to_bytes(4, "big") + told)


SETTINGS_ACK = frame(SETTINGS, ACK, 0, b"")
