def sum_of(numbers: list[int]) -> int:
    return sum(numbers)
