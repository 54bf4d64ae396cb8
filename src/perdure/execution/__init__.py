"""Where user code runs: sessions, the turn thread, the user loop, activity threads."""
