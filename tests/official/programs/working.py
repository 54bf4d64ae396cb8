"""A worker that runs until its input ends: ``python working.py ADDRESS HUB [filtered]``."""

import json
import sys

import enduring
from stage import Stage

stage = Stage(sys.argv[1], sys.argv[2])
assert enduring.FOLDER.is_dir()
with stage.shared_worker(*sys.argv[3:]):
    print(json.dumps("started"), flush=True)
    sys.stdin.read()
