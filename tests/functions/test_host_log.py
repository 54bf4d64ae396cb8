import io
import logging
import re
from collections.abc import Iterator

import pytest

from perdure.functions.invocations import Invocation
from perdure.functions.logging_setup import HostFormatter, LogLevels, configure_logging, log_levels


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def _log(levels: LogLevels) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(levels, stream)
    return stream


def _texts(stream: io.StringIO) -> list[str]:
    return [line.partition("] ")[2] for line in stream.getvalue().splitlines()]


def test_lines_carry_the_time_in_utc() -> None:
    stream = _log(log_levels({}))
    logging.getLogger("shop").info("got %s", "an order")
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] got an order\n", stream.getvalue())


def test_an_exception_follows_its_line() -> None:
    stream = _log(log_levels({}))
    try:
        raise ValueError("no luck")
    except ValueError:
        logging.getLogger("shop").exception("failed")
    assert stream.getvalue().splitlines()[0].endswith("failed")
    assert stream.getvalue().rstrip().endswith("ValueError: no luck")


def test_the_apps_lines_are_shown_from_information_and_ours_from_warning() -> None:
    stream = _log(log_levels({}))
    logging.getLogger("shop").debug("app debug")
    logging.getLogger("shop").info("app info")
    logging.getLogger("perdure.engine").info("host info")
    logging.getLogger("perdure.engine").warning("host warning")
    logging.getLogger("azure.functions").info("library info")
    assert _texts(stream) == ["app info", "host warning"]


def test_verbose_shows_our_information() -> None:
    stream = _log(log_levels({}, is_verbose=True, user_level="Error"))
    logging.getLogger("perdure.engine").info("host info")
    logging.getLogger("shop").warning("app warning")
    assert _texts(stream) == ["host info"]


def test_host_json_levels_by_longest_prefix() -> None:
    levels = log_levels(
        {"default": "Error", "Function": "Warning", "Function.hello": "Debug", "Host.engine": "Information"}
    )
    stream = _log(levels)
    logging.getLogger("perdure.engine.parts").info("engine")
    logging.getLogger("perdure.storage").warning("storage")
    with Invocation("hello", "test"):
        logging.getLogger("shop").debug("hello debug")
    with Invocation("helloworld", "test"):
        logging.getLogger("shop").info("other info")
        logging.getLogger("shop").warning("other warning")
    shown = _texts(stream)
    assert "engine" in shown
    assert "hello debug" in shown
    assert "other warning" in shown
    assert not {"storage", "other info"} & set(shown)
    assert [line for line in shown if "Executing" in line] == [
        line for line in shown if "'Functions.hello' (Reason" in line
    ]


def test_none_turns_a_category_off() -> None:
    stream = _log(log_levels({"Function.quiet": "None"}))
    with pytest.raises(ValueError, match="x"), Invocation("quiet", "test"):
        raise ValueError("x")
    assert stream.getvalue() == ""


def test_the_default_level_sets_both_sides() -> None:
    assert log_levels({"Default": "Debug"}) == LogLevels({}, "Debug", "Debug")
    assert log_levels({"default": "Error"}, user_level="Trace") == LogLevels({}, "Error", "Trace")


def test_colours_mark_warnings_and_errors_on_terminals() -> None:
    formatter = HostFormatter(has_colours=True)
    shown = [formatter.format(logging.LogRecord("x", n, "", 0, "text", None, None)) for n in (20, 30, 40)]
    assert ["\x1b[" in text for text in shown] == [False, True, True]


def test_characters_that_steer_a_terminal_are_written_out() -> None:
    stream = _log(log_levels({}))
    logging.getLogger("shop").info(
        "red \x1b[31m, bell \a, return \r, reversed \u202e, half \ud800, plain ü\t\U0001f600"
    )
    assert _texts(stream) == [
        "red \\u001b[31m, bell \\u0007, return \\u000d, reversed \\u202e, half \ud800, plain ü\t\U0001f600"
    ]
