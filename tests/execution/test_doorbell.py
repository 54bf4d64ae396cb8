"""Waking a thread."""

import os
import threading

from perdure.execution.doorbell import Doorbell


def test_rings_are_counted_and_none_is_lost() -> None:
    bell = Doorbell()
    for _ in range(3):
        bell.ring()
    for _ in range(3):
        bell.wait()


def test_a_ring_wakes_the_thread_that_waits() -> None:
    bell, answer = Doorbell(), Doorbell()

    def run() -> None:
        bell.wait()
        answer.ring()

    thread = threading.Thread(target=run)
    thread.start()
    bell.ring()
    answer.wait()
    thread.join()


def test_it_leaves_no_open_file_behind() -> None:
    free = _next_free_number()
    bells = [Doorbell() for _ in range(20)]
    assert _next_free_number() != free
    del bells
    assert _next_free_number() == free


def _next_free_number() -> int:
    number = os.open(os.devnull, os.O_RDONLY)
    os.close(number)
    return number
