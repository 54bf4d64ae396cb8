"""Old import path; the code is in retry_options."""

from azure.durable_functions.retry_options import RetryOptions

__all__ = ["RetryOptions"]
