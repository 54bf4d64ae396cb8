import logging
from typing import Any


def main(request: dict[str, Any]) -> None:
    logging.info("Please approve: %s", request["what"])
