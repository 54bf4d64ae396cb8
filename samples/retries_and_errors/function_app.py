from collections.abc import Generator
from typing import Any

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="bookings", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start_booking(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance_id = await client.start_new("book_trip", client_input=req.get_json())
    return client.create_check_status_response(req, instance_id)


@app.orchestration_trigger(context_name="context")
def book_trip(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    trip = context.get_input()
    retry_options = df.RetryOptions(first_retry_interval_in_milliseconds=100, max_number_of_attempts=3)

    seat = yield context.call_activity_with_retry("book_seat", retry_options, trip)
    try:
        room = yield context.call_activity("book_room", trip)
    except Exception as error:
        # Undo what was done, and tell why: compensation is ordinary Python.
        yield context.call_activity("cancel_seat", seat)
        return {"booked": False, "reason": str(error).splitlines()[0].strip()}
    return {"booked": True, "seat": seat, "room": room}


attempts: dict[str, int] = {}


@app.activity_trigger(input_name="trip")
def book_seat(trip: dict[str, Any]) -> str:
    """Fails as often as the trip says, then works: a service that is down for a moment."""
    attempts[trip["id"]] = attempts.get(trip["id"], 0) + 1
    if attempts[trip["id"]] <= trip.get("seat_failures", 0):
        raise ConnectionError("the seat service does not answer")
    return f"seat 12A at attempt {attempts[trip['id']]}"


@app.activity_trigger(input_name="trip")
def book_room(trip: dict[str, Any]) -> str:
    if trip.get("hotel") == "full":
        raise ValueError("no room left")
    return "room 7"


@app.activity_trigger(input_name="seat")
def cancel_seat(seat: str) -> str:
    return f"{seat}: cancelled"
