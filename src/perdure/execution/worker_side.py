"""The worker's side of ``worker_processes``: serves activities to the host that started this process."""

import concurrent.futures
import ctypes
import os
import signal
import socket
import sys
import threading

from perdure.core.failures import failure_of
from perdure.core.registry import ActivityCall, Registry
from perdure.execution.worker_frames import READY, Frame, call_of, failure_frame, read_frame, write_frame

_PR_SET_PDEATHSIG = 1


def end_with_host() -> None:
    """Leave with the host, however it ends. Ctrl+C at a terminal reaches both; the host says when this one ends."""
    signal.signal(signal.SIGINT, _ignore)
    signal.signal(signal.SIGTERM, _ignore)
    if sys.platform == "linux":
        # Besides the end of the connection, which code that holds the interpreter lock would not let us notice.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def serve(connection: socket.socket, registry: Registry, threads_max: int) -> None:
    """Run what the host asks for until it closes the connection; called on the main thread."""
    lock = threading.Lock()
    pool = concurrent.futures.ThreadPoolExecutor(threads_max, thread_name_prefix="perdure-activity")

    def run(number: int, call: ActivityCall) -> None:
        answer = _answer(number, call, registry)
        with lock:
            write_frame(connection, answer)

    with lock:
        write_frame(connection, READY)
    while (frame := read_frame(connection)) is not None:
        pool.submit(run, frame["number"], call_of(frame))
    # The host has gone or wants an end: nobody waits for what still runs.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _answer(number: int, call: ActivityCall, registry: Registry) -> Frame:
    try:
        return {"number": number, "result": registry.activity(call.name).run(call)}
    except BaseException as error:  # user code, SystemExit included
        return failure_frame(number, failure_of(error))


def _ignore(number: int, frame: object) -> None:
    # A function of ours and not SIG_IGN, which programs started by activities would inherit.
    return
