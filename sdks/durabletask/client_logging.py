"""Loggers of clients and workers: not among the program's own, with a handler that writes from INFO on."""

import logging

FORMAT = "%(asctime)s.%(msecs)03d %(name)s %(levelname)s: %(message)s"
DATE_FORMAT = "%Y-%m-%d %H:%M:%S"


def client_logger(
    name_suffix: str,
    log_handler: logging.Handler | None = None,
    log_formatter: logging.Formatter | None = None,
    logger: logging.Logger | None = None,
) -> logging.Logger:
    """``logger`` as it is, or one that writes to standard error unless another handler is given.

    Raises ValueError for a logger together with a handler or formatter.
    """
    if logger is not None:
        if log_handler is not None or log_formatter is not None:
            raise ValueError("'logger' cannot be combined with 'log_handler' or 'log_formatter'.")
        return logger
    made = logging.Logger(f"durabletask-{name_suffix}")
    if log_handler is None:
        log_handler = logging.StreamHandler()
        log_handler.setLevel(logging.INFO)
    log_handler.setFormatter(log_formatter or logging.Formatter(FORMAT, DATE_FORMAT))
    made.addHandler(log_handler)
    return made
