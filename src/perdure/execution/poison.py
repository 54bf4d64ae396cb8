"""The failure of code that kept ending the process, or never returned."""

from perdure.core.failures import FailureDetails
from perdure.execution.black_box import TRIES_MAX


def poisoned(what: str) -> FailureDetails:
    """The failure of what is not run again."""
    return FailureDetails(
        "Poisoned",
        f"{TRIES_MAX} times in a row the process died while it ran the code of {what}, or that took longer than "
        "functionTimeout; so it is not run again.",
        is_non_retriable=True,
    )
