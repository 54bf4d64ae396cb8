def test_the_quickstarts_three_functions(start_sample):
    host = start_sample("hello_cities_v1")

    status = host.completed(host.start_instance("/api/orchestrators/HelloOrchestrator"))

    assert status["name"] == "HelloOrchestrator"
    assert status["output"] == ["Hello Tokyo!", "Hello Seattle!", "Hello London!"]
