"""The failure of code that kept ending the process."""

from perdure.core.failures import FailureDetails
from perdure.execution.black_box import TRIES_MAX


def poisoned(what: str) -> FailureDetails:
    """The failure of what is not run again."""
    return FailureDetails(
        "Poisoned",
        f"The process died {TRIES_MAX} times in a row while it ran the code of {what}, so it is not run again.",
        is_non_retriable=True,
    )
