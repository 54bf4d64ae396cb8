def words_of(line: str) -> list[str]:
    return [word for word in line.split() if any(letter.isalnum() for letter in word)]
