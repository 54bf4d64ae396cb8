"""The complete little apps of the documents, each as it stands there, through HTTP."""

import pytest


@pytest.mark.parametrize(
    ("app", "path", "expected"),
    [
        ("basic_setup", "orchestrators/hello_orchestrator", ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]),
        # The document prints another order and exclamation marks; the code above it gives this.
        ("decorator_quickstart", "orchestrators/hello_orchestrator", ["Hello Seattle", "Hello Tokyo", "Hello London"]),
        ("blueprint_quickstart", "startOrchestrator", ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]),
        ("module_decorators", "start/greets", ["Hello World!", "Hello you!"]),
        (
            "orchestrator_example",
            "orchestrators/DurableOrchestrator",
            ["Hello Activity: One!", "Hello Activity: Two!", "Hello Activity: Three!"],
        ),
    ],
)
def test_a_quickstart(start_app, app, path, expected):
    host = start_app(app)

    links = host.start_instance(f"/api/{path}")
    status = host.completed(links)

    assert set(links) >= {"id", "statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "purgeHistoryDeleteUri"}
    assert status["output"] == expected
    assert list(status)[:3] == ["name", "instanceId", "runtimeStatus"]
    assert status["input"] in (None, "World")
    assert status["customStatus"] is None
    assert status["createdTime"].endswith("Z")
