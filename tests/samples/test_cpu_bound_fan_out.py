import pytest

from support.host_process import HostProcess

TEXTS = {
    "Where is the railway station, please?": "en",
    "Wo ist bitte der nächste Bahnhof?": "de",
    "Où se trouve la gare, s'il vous plaît ?": "fr",
    "¿Dónde está la estación de tren, por favor?": "es",
}


@pytest.fixture(scope="module")
def host(start_sample) -> HostProcess:
    return start_sample("cpu_bound_fan_out")


def test_the_model_names_every_language(host):
    links = host.start_instance("/api/languages", list(TEXTS))

    assert host.completed(links)["output"] == TEXTS


def test_a_text_without_letters_fails_with_the_models_own_error(host):
    links = host.start_instance("/api/languages", ["..."])

    status = host.finished(links)
    assert status["runtimeStatus"] == "Failed"
    assert "No features in text" in status["output"]
