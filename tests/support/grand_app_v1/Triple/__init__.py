def triple(number: int) -> int:
    return number * 3
