"""function.json: what it may say, and where an error is said to be."""

import json
from typing import Any

import pytest

from perdure.functions.function_json import FunctionFile, FunctionJsonError, read_function_json

TRIGGER = {"name": "req", "type": "httpTrigger", "direction": "in"}


def read(written: Any) -> FunctionFile:
    content = written if isinstance(written, bytes) else json.dumps(written, indent=2).encode()
    return read_function_json(content, "Begin/function.json")


def refusal(written: Any) -> str:
    with pytest.raises(FunctionJsonError) as refused:
        read(written)
    return str(refused.value)


def test_a_whole_file() -> None:
    file = read(
        b"""\xef\xbb\xbf{
          // how it starts
          "scriptFile": "../shared/code.py", "EntryPoint": "begin",
          "bindings": [
            {"Name": "req", "type": "HTTPTRIGGER", "AuthLevel": "anonymous", "custom": null, "x": "a//b"},
            {"name": "$return", "type": "http", "direction": "OUT"} /* the answer */
          ],
          "retry": {"strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:01"},
          "disabled": "%OFF%"
        }"""
    )
    assert (file.script_file, file.entry_point, file.disabled) == ("../shared/code.py", "begin", "OFF")
    assert file.trigger == {
        "name": "req",
        "type": "HTTPTRIGGER",
        "direction": "in",
        "authLevel": "anonymous",
        "x": "a//b",
    }
    assert file.bindings[1]["direction"] == "out"
    assert file.retry is not None
    assert file.retry["maxRetryCount"] == 2


def test_defaults() -> None:
    file = read({"bindings": [TRIGGER]})
    assert (file.script_file, file.entry_point, file.retry, file.disabled) == (None, "main", None, False)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (b'{"bindings": [,]}', "line 1, column 15: Expecting value"),
        (b'{"bindings":\n "\xff"}', "line 2: not UTF-8"),
        ([], "line 1, column 1: must be a JSON object"),
        ({}, "line 1, column 1: bindings is missing"),
        ({"bindings": []}, "line 2, column 15: bindings must be a list with at least the function's trigger, not []"),
        ({"bindings": ["x"]}, 'line 3, column 5: bindings[0] must be an object, not "x"'),
        ({"bindings": [{"name": "x"}]}, "line 3, column 5: bindings[0].type is missing"),
        ({"bindings": [{"type": 7, "name": "x"}]}, "line 4, column 15: bindings[0].type must be a text, not 7"),
        ({"bindings": [{**TRIGGER, "direction": "inout"}]}, 'line 6, column 20: bindings[0].direction is "inout"'),
        ({"bindings": [{**TRIGGER, "direction": "up"}]}, "bindings[0].direction must be one of in, out, inout"),
        ({"bindings": [{**TRIGGER, "direction": "out"}]}, 'bindings[0].direction must be "in" for a trigger'),
        ({"bindings": [{**TRIGGER, "name": "1x"}]}, "line 4, column 15: bindings[0].name must be letters"),
        ({"bindings": [TRIGGER, {"name": "$return", "type": "http"}]}, 'must be "out" for $return'),
        ({"bindings": [TRIGGER, {**TRIGGER, "type": "blob", "name": "REQ"}]}, "'REQ' is used by another binding"),
        ({"bindings": [{"name": "b", "type": "blob"}]}, "bindings has no trigger"),
        (
            {"bindings": [TRIGGER, {"name": "t", "type": "timerTrigger"}]},
            "line 10, column 15: bindings[1].type 'timerTrigger' is a second trigger, besides 'httpTrigger'",
        ),
        ({"bindings": [TRIGGER], "scriptFile": 3}, "scriptFile must be a text, not 3"),
        ({"bindings": [TRIGGER], "retry": []}, "retry must be an object, not []"),
        ({"bindings": [TRIGGER], "disabled": 3}, "disabled must be true, false or the name of a setting, not 3"),
        ({"bindings": [{**TRIGGER, "dataType": "int"}]}, "bindings[0].dataType must be one of string, binary, stream"),
    ],
)
def test_errors_name_the_place_and_the_field(written: Any, reason: str) -> None:
    text = refusal(written)
    assert text.startswith("Begin/function.json")
    assert reason in text
