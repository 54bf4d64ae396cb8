# The package has no types of its own.
from langdetect import DetectorFactory, detect  # type: ignore[import-untyped]
from langdetect.detector_factory import init_factory  # type: ignore[import-untyped]

# The model draws random numbers; with a seed its answers repeat.
DetectorFactory.seed = 0
# Loaded here, once per process: several threads call main.
init_factory()


def main(text: str) -> str:
    return str(detect(text))  # type: ignore[no-untyped-call, unused-ignore]
