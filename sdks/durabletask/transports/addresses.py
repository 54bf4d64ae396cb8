"""Where a gRPC server is, and whether it is spoken to in secret."""

DEFAULT_ADDRESS = "localhost:4001"
_SECURE = ("https://", "grpcs://")
_PLAIN = ("http://", "grpc://")


def read_address(address: str | None, secure: bool) -> tuple[str, bool]:
    """Host and port without a scheme, and whether with TLS: the scheme decides, without one ``secure``."""
    if address is None:
        return DEFAULT_ADDRESS, secure
    for schemes, is_secure in ((_SECURE, True), (_PLAIN, False)):
        for scheme in schemes:
            if address.lower().startswith(scheme):
                return address[len(scheme) :].rstrip("/"), is_secure
    return address, secure
