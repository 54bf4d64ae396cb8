"""The official package's own server for tests, until its input ends: ``python memory_backend.py PORT``."""

import json
import sys

from durabletask.testing import create_test_backend

backend = create_test_backend(port=int(sys.argv[1]))
print(json.dumps("ready"), flush=True)
sys.stdin.read()
backend.stop()
