from typing import Any

import pytest

from perdure.functions.descriptions import HttpFunction, UserFunction
from perdure.functions.route_templates import parse_route
from perdure.functions.routes import RouteTable, full_route


def _segments(path: str) -> list[str]:
    return path.split("/") if path else []


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("hello", "hello", {}),
        ("hello", "HeLLo", {}),
        ("hello", "hell", None),
        ("orders/{id}", "orders/7", {"id": "7"}),
        ("orders/{id}", "orders", None),
        ("orders/{id}", "orders/7/8", None),
        ("orders/{id?}", "orders", {}),
        ("orders/{id?}", "orders/7", {"id": "7"}),
        ("orders/{id=12}", "orders", {"id": "12"}),
        ("orders/{id=12}", "orders/7", {"id": "7"}),
        ("orders/{id:int?}", "orders/x", None),
        ("orders/{id:int?}", "orders", {}),
        ("{*rest}", "", {"rest": ""}),
        ("{*rest}", "a/b/c", {"rest": "a/b/c"}),
        ("{**rest}", "a/b", {"rest": "a/b"}),
        ("files/{*rest}", "files", {"rest": ""}),
        ("files/{*rest}", "other", None),
        ("{*rest:maxlength(3)}", "a/b", {"rest": "a/b"}),
        ("{*rest:maxlength(3)}", "a/bc", None),
        ("v{major}.{minor}", "v1.2", {"major": "1", "minor": "2"}),
        ("v{major}.{minor}", "V1.2.3", {"major": "1.2", "minor": "3"}),
        ("v{major:int}.{minor:int}", "v1.x", None),
        ("v{major}", "v", None),
        ("{name}.{ext?}", "readme", {"name": "readme"}),
        ("{name}.{ext?}", "a.b.txt", {"name": "a.b", "ext": "txt"}),
        ("a{{b}}", "a{b}", {}),
        ("/leading/", "leading", {}),
        ("", "", {}),
        ("", "x", None),
        ("{a}/{b=x}/{c?}", "1", {"a": "1", "b": "x"}),
    ],
)
def test_templates(template: str, path: str, expected: dict[str, str] | None) -> None:
    assert parse_route(template).match(_segments(path)) == expected


GUID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", ["1", "-5", "2147483647"], ["x", "1.5", "2147483648", "1_0", "٣"]),
        ("long", ["9223372036854775807"], ["9223372036854775808", "9" * 5000]),
        ("float", ["1", "1.5", "-.5", "1e5"], ["x", "nan", "1,5", "1_0"]),
        ("double", ["1e-5"], ["e5"]),
        ("decimal", ["1.5"], ["1e5"]),
        ("bool", ["true", "FALSE"], ["1", "yes"]),
        ("datetime", ["2026-01-02", "2026-01-02T03:04:05Z", "01-31-2026"], ["2026-13-01", "soon"]),
        ("guid", [GUID, GUID.replace("-", ""), f"({GUID})"], ["0123", GUID + "0"]),
        ("alpha", ["abcXYZ"], ["a1", "ä"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(10)", ["10", "11"], ["9", "x"]),
        ("max(10)", ["10", "-1"], ["11"]),
        ("range(1,5)", ["1", "5"], ["0", "6"]),
        (r"regex(^\d{{2}}:(a|b)$)", ["12:a", "12:B"], ["1:a", "12:c"]),
        ("required", ["x"], []),
        ("int:min(1)", ["1"], ["0", "x"]),
    ],
)
def test_constraints(constraint: str, good: list[str], bad: list[str]) -> None:
    template = parse_route(f"a/{{value:{constraint}}}/b")
    for value in good:
        assert template.match(["a", value, "b"]) == {"value": value}
    for value in bad:
        assert template.match(["a", value, "b"]) is None


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("a/{id", "opening brace"),
        ("a/id}", "braces that do not match"),
        ("a/{i{d}}", "."),
        ("a//b", "empty segment"),
        ("a/{}", "without a proper name"),
        ("a/{1x}", "without a proper name"),
        ("a/{id}/{ID}", "twice"),
        ("{*rest}/b", "after the catch-all"),
        ("a/{id?}/b", "after the optional"),
        ("{a}{b}", "nothing between them"),
        ("x{*rest}", "mixes a catch-all"),
        ("{a?}x", "in the middle of a segment"),
        ("a/{id:nosuch}", "'nosuch' does not exist"),
        ("a/{id:range(1)}", "does not exist"),
        ("a/{id:range(1,x)}", "needs whole numbers"),
        ("a/{id:min(1}", "no closing bracket"),
        ("a/{id:regex(()}", "."),
        ("a/{id!}", "after the parameter 'id'"),
        ("{*rest?}", "catch-all that is optional"),
        ("a?b=c", "outside of a parameter"),
    ],
)
def test_bad_templates_are_refused(template: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_route(template)


def _function(name: str, route: str, *methods: str) -> HttpFunction:
    def code(req: Any) -> str:
        return name

    return HttpFunction(UserFunction(name, code, "req", "/app"), route, methods)


def _found(table: RouteTable, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    match = table.match(method, path)
    return None if match is None else (match.function.call.name, match.parameters)


def test_the_more_specific_route_wins() -> None:
    table = RouteTable(
        [
            _function("a_catch_all", "{*rest}"),
            _function("b_plain", "orders/{id}"),
            _function("c_number", "orders/{id:int}"),
            _function("d_literal", "orders/new"),
            _function("e_mixed", "orders/n{x}"),
        ],
        "api",
    )
    assert _found(table, "GET", "/api/orders/new") == ("d_literal", {})
    assert _found(table, "GET", "/api/orders/next") == ("e_mixed", {"x": "ext"})
    assert _found(table, "GET", "/api/orders/5") == ("c_number", {"id": "5"})
    assert _found(table, "GET", "/api/orders/five") == ("b_plain", {"id": "five"})
    assert _found(table, "GET", "/api/x/y") == ("a_catch_all", {"rest": "x/y"})
    assert _found(table, "GET", "/orders/new") is None


def test_equal_routes_go_by_name() -> None:
    table = RouteTable([_function("Zeta", "{a}"), _function("alpha", "{b}")], "")
    assert _found(table, "GET", "/x") == ("alpha", {"b": "x"})


def test_methods_are_part_of_matching() -> None:
    table = RouteTable([_function("reader", "item", "GET"), _function("writer", "item", "POST", "PUT")], "api")
    assert _found(table, "GET", "/api/item") == ("reader", {})
    assert _found(table, "PUT", "/api/item") == ("writer", {})
    assert _found(table, "HEAD", "/api/item") is None
    assert _found(table, "DELETE", "/api/item") is None


def test_values_are_decoded_once_and_an_encoded_slash_stays_inside() -> None:
    table = RouteTable([_function("f", "item/{id}")], "api")
    assert _found(table, "GET", "/api/item/a%2Fb%20c%C3%A9") == ("f", {"id": "a/b cé"})
    assert _found(table, "GET", "/api/item/%2541") == ("f", {"id": "%41"})
    assert _found(table, "GET", "/api/item/7/") == ("f", {"id": "7"})
    assert _found(table, "GET", "/api/item//") is None


@pytest.mark.parametrize(
    ("prefix", "route", "expected"),
    [("api", "hello", "api/hello"), ("", "/{*route}", "{*route}"), ("/my/api/", "x", "my/api/x"), ("api", "", "api")],
)
def test_prefix(prefix: str, route: str, expected: str) -> None:
    assert full_route(prefix, route) == expected
