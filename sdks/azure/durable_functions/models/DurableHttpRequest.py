"""Old import path; the code is in durable_http."""

from azure.durable_functions.durable_http import DurableHttpRequest

__all__ = ["DurableHttpRequest"]
