"""Exit codes (cli.md §1)."""

OK = 0
FAILURE = 1
USAGE = 2
STORE = 3
NOT_FOUND = 4
