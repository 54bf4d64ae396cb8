"""Whether somebody stands at a breakpoint (functions-host.md §11.3)."""

import io
import pdb
import sys
import threading

from perdure.execution import debugger


def test_nobody_debugs_a_plain_process():
    # Coverage traces too; without it nothing is attached.
    assert debugger.is_attached() is (sys.gettrace() is not None)


def test_a_traced_process_is_being_debugged():
    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        assert debugger.is_attached()
    finally:
        sys.settrace(before)


class _Keyboard(io.StringIO):
    """Somebody who reads the prompt and takes long to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answered = threading.Event(), threading.Event()

    def readline(self, size: int = -1) -> str:
        self.asked.set()
        self.answered.wait(20)
        return "continue\n"


def test_another_thread_at_a_pdb_prompt_is_being_debugged():
    keyboard = _Keyboard()

    def user_code() -> None:
        pdb.Pdb(stdin=keyboard, stdout=io.StringIO(), nosigint=True).set_trace()
        return

    thread = threading.Thread(target=user_code)
    thread.start()
    assert keyboard.asked.wait(20)
    assert debugger.is_attached()
    keyboard.answered.set()
    thread.join(20)
    assert not thread.is_alive()
