"""``backend.py PORT``: the official package's in-memory backend, in a process of its own."""

import sys
import threading

from durabletask.testing import create_test_backend

HISTORY_MAX = 1_000_000

if __name__ == "__main__":
    create_test_backend(port=int(sys.argv[1]), max_history_size=HISTORY_MAX)
    threading.Event().wait()
