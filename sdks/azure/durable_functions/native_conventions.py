"""How two-argument orchestrators of an app name functions and write values; imported with the first of them."""

from typing import Any

from azure.durable_functions.constants import ACTIVITY_TRIGGER, ORCHESTRATION_TRIGGER
from azure.durable_functions.names import activity_results, name_of, orchestrator_results
from azure.durable_functions.native_payloads import NATIVE_CONVERTER
from durabletask.context import Conventions


def _activity_result(function: Any) -> Any:
    return activity_results.annotation(name_of(function, ACTIVITY_TRIGGER))


def _orchestrator_result(function: Any) -> Any:
    return orchestrator_results.annotation(name_of(function, ORCHESTRATION_TRIGGER))


NATIVE_CONVENTIONS = Conventions(
    converter=NATIVE_CONVERTER,
    activity_name=lambda function: name_of(function, ACTIVITY_TRIGGER),
    orchestrator_name=lambda function: name_of(function, ORCHESTRATION_TRIGGER),
    activity_result=_activity_result,
    orchestrator_result=_orchestrator_result,
)
