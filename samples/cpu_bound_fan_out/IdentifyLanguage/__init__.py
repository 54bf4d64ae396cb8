from langdetect import DetectorFactory, detect
from langdetect.detector_factory import init_factory

# The model draws random numbers; with a seed its answers repeat.
DetectorFactory.seed = 0
# Loaded here, once per process: several threads call main.
init_factory()


def main(text: str) -> str:
    return detect(text)
