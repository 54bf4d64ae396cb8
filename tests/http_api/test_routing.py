"""Matching on the raw path."""

import pytest

from perdure.client import InvalidInput
from perdure.http_api.routes import ROUTES
from perdure.http_api.routing import Router

router = Router(ROUTES)


def found(method: str, path: bytes) -> tuple[str, dict[str, str]] | None:
    match = router.find(method, path)
    return None if match is None else (match[0].template, match[1])


@pytest.mark.parametrize(
    ("method", "path", "template", "parameters"),
    [
        ("GET", b"/instances", "instances", {}),
        ("GET", b"/instances/", "instances", {}),
        ("GET", b"/INSTANCES/Order-1", "instances/{id}", {"id": "Order-1"}),
        ("GET", b"/%69nstances/a", "instances/{id}", {"id": "a"}),
        ("GET", b"/instances/a%2Fb%252F", "instances/{id}", {"id": "a/b%2F"}),
        ("GET", b"/instances/%40counter%40K", "instances/{id}", {"id": "@counter@K"}),
        ("GET", b"/instances/a+b", "instances/{id}", {"id": "a+b"}),
        ("POST", b"/instances/a/RaiseEvent/Go", "instances/{id}/raiseevent/{event}", {"id": "a", "event": "Go"}),
        ("POST", b"/instances/a/Terminate/", "instances/{id}/terminate", {"id": "a"}),
        ("POST", b"/orchestrators/Hello", "orchestrators/{name}", {"name": "Hello"}),
        ("POST", b"/orchestrators/Hello/x1", "orchestrators/{name}/{id}", {"name": "Hello", "id": "x1"}),
        ("GET", b"/entities/Counter/%24", "entities/{name}/{key}", {"name": "Counter", "key": "$"}),
        ("GET", b"/instances/Sch%C3%B6n", "instances/{id}", {"id": "Sch\u00f6n"}),
    ],
)
def test_matches(method: str, path: bytes, template: str, parameters: dict[str, str]):
    assert found(method, path) == (template, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", b""),
        ("GET", b"/"),
        ("GET", b"/unknown"),
        ("PUT", b"/instances"),
        ("HEAD", b"/instances"),
        ("get", b"/instances"),
        ("GET", b"/orchestrators/Hello"),
        ("POST", b"/instances//terminate"),
        ("POST", b"/orchestrators"),
        ("POST", b"/instances/a/raiseEvent"),
        ("GET", b"/instances/a/b"),
        ("GET", b"/instances%2Fa"),
        ("DELETE", b"/entities"),
    ],
)
def test_does_not_match(method: str, path: bytes):
    assert found(method, path) is None


def test_a_path_that_is_not_utf8_is_refused():
    with pytest.raises(InvalidInput, match="UTF-8"):
        router.find("GET", b"/instances/%ff")


def test_no_two_routes_share_method_and_template():
    keys = [(route.method, route.template) for route in ROUTES]
    assert len(keys) == len(set(keys))
