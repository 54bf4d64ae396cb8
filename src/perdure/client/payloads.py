"""What a client lets into the store: text that every store can hold and that is not too large (architecture.md J18)."""

from perdure.contracts.errors import InvalidInput, PayloadTooLarge


def check_payload(text: str | None, what: str, bytes_max: int) -> None:
    """Raise PayloadTooLarge with size and limit, or InvalidInput for text that no store can hold."""
    if text is None:
        return
    size = len(text) if text.isascii() else _encoded_length(text, what)
    if size > bytes_max:
        raise PayloadTooLarge(f"The {what} has {size:,} bytes; at most {bytes_max:,} are allowed.")
    if "\0" in text:
        raise InvalidInput(f"The {what} contains a raw NUL character at offset {text.index(chr(0))}; escape it.")


def _encoded_length(text: str, what: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f"The {what} contains a lone surrogate at offset {error.start}, which cannot be encoded; escape it."
        ) from None
