"""The app's functions on their own: no host, no store, mocks in the place of contexts and clients."""

import asyncio
import json
from unittest.mock import AsyncMock, Mock, PropertyMock, call

import azure.durable_functions as df
import azure.functions as func
from azure.durable_functions.testing import orchestrator_generator_wrapper

import function_app as app


def done(result):
    """A task that has ended with ``result``."""
    return Mock(result=result)


def failed(error):
    """A task that has failed."""
    task = Mock()
    type(task).result = PropertyMock(side_effect=error)
    return task


def run_pay(charge):
    context = Mock(spec=df.DurableOrchestrationContext)
    context.get_input.return_value = ["tea", "cake"]
    context.task_all.return_value = done([3, 4])
    context.call_activity.side_effect = lambda name, value: charge if name == "charge" else done(None)
    context.call_entity.return_value = done(7)
    pay = app.pay.build().get_user_function().orchestrator_function
    *_, output = orchestrator_generator_wrapper(pay(context))
    return context, output


def test_a_paid_basket_counts():
    context, output = run_pay(charge=done("paid 7"))

    assert output == "paid 7"
    assert context.call_activity.call_args_list == [
        call("price_of", "tea"),
        call("price_of", "cake"),
        call("charge", 7),
    ]
    context.call_entity.assert_called_once_with(df.EntityId("turnover", "shop"), "add", 7)


def test_a_refused_card_does_not_count():
    context, output = run_pay(charge=failed(ValueError("more than the card allows")))

    assert output == "not paid"
    context.call_entity.assert_not_called()


def test_activities_are_plain_functions():
    assert app.price_of("tea") == 3
    assert app.charge.build().get_user_function()(100) == "paid 100"


def test_the_entity_adds():
    context = Mock(spec=df.DurableEntityContext, operation_name="add")
    context.get_state.return_value = 5
    context.get_input.return_value = 7

    app.turnover.build().get_user_function().entity_function(context)

    context.set_state.assert_called_once_with(12)
    context.set_result.assert_called_once_with(12)


def test_the_client_function_starts_pay():
    client = AsyncMock(spec=df.DurableOrchestrationClient)
    client.start_new.return_value = "b1"
    client.create_check_status_response = Mock(return_value=func.HttpResponse(status_code=202))
    request = func.HttpRequest("POST", "/api/baskets/b1", route_params={"id": "b1"}, body=json.dumps(["tea"]).encode())

    answer = asyncio.run(app.check_out.build().get_user_function().client_function(request, client))

    assert answer.status_code == 202
    client.start_new.assert_awaited_once_with("pay", "b1", ["tea"])
