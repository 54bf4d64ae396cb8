"""What a peer's SETTINGS frame may say (RFC 9113 §6.5)."""

from collections.abc import Iterator
from struct import iter_unpack

from perdure.grpc_api.http2.frames import FIRST_FRAME_BYTES_MAX, WINDOW_MAX, ConnectionFailed, ErrorCode, Setting

_FRAME_BYTES_MAX = (1 << 24) - 1
_SETTING_BYTES = 6
SETTINGS_MAX = 64
"""In one frame; there are not half as many."""


def read_settings(body: bytes) -> Iterator[tuple[Setting, int]]:
    """The settings in their order, unknown ones left out. Raises ConnectionFailed."""
    if len(body) % _SETTING_BYTES:
        raise ConnectionFailed(ErrorCode.FRAME_SIZE_ERROR, "A SETTINGS frame ends inside of a setting.")
    if len(body) > SETTINGS_MAX * _SETTING_BYTES:
        raise ConnectionFailed(ErrorCode.ENHANCE_YOUR_CALM, "A SETTINGS frame has too many settings.")
    for number, value in iter_unpack(">HI", body):
        if number not in _KNOWN:
            continue
        setting = Setting(number)
        least, most, code = _RANGES.get(setting, _ANY)
        if not least <= value <= most:
            raise ConnectionFailed(code, f"The setting {setting.name} cannot be {value}.")
        yield setting, value


_KNOWN = frozenset(Setting)
_ANY = (0, (1 << 32) - 1, ErrorCode.PROTOCOL_ERROR)
_RANGES = {
    Setting.ENABLE_PUSH: (0, 1, ErrorCode.PROTOCOL_ERROR),
    Setting.INITIAL_WINDOW_SIZE: (0, WINDOW_MAX, ErrorCode.FLOW_CONTROL_ERROR),
    Setting.MAX_FRAME_SIZE: (FIRST_FRAME_BYTES_MAX, _FRAME_BYTES_MAX, ErrorCode.PROTOCOL_ERROR),
}
