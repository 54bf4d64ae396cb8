import logging


def main(request: dict) -> None:
    logging.info("Please approve: %s", request["what"])
