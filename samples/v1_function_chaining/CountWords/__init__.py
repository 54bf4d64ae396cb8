from ..shared.words import words_of


def main(line: str) -> int:
    return len(words_of(line))
