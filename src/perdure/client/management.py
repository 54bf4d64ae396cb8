"""Starting and steering orchestrations: requests become messages, the storage makes them durable."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from perdure.client import queries
from perdure.client.options import ClientOptions, FunctionKind
from perdure.client.payloads import check_payload
from perdure.contracts.clock import Clock
from perdure.contracts.errors import (
    InstanceExists,
    InstanceFinished,
    InstanceNotFailed,
    InstanceNotFound,
    InvalidInput,
)
from perdure.contracts.records import CreateOutcome, Replaceable, ReusePolicy, may_replace
from perdure.contracts.storage import Storage
from perdure.core.checkpoint import Creation
from perdure.core.decisions import leave_sections
from perdure.core.instance import Instance, InstanceKind, InstanceRecord, Origin, Progress, Sections
from perdure.core.messages import AnyMessage, Envelope, Rewind, StartExecution, Terminate
from perdure.core.status import RuntimeStatus


async def start(
    storage: Storage,
    clock: Clock,
    options: ClientOptions,
    name: str,
    *,
    instance_id: str | None,
    input: str | None,
    version: str | None,
    start_at: datetime | None,
    trace_context: str | None,
    tags: dict[str, str] | None,
    execution_id: str | None = None,
    reuse: Replaceable | None = None,
) -> str:
    """Create an instance; returns its id once it is durable."""
    reuse = options.reuse if reuse is None else reuse
    has_new_id = instance_id is None
    if instance_id is None:
        instance_id = options.new_id()
    else:
        options.check_id(instance_id)
    if not name:
        raise InvalidInput("An orchestrator name must not be empty.")
    if options.known is not None:
        options.known(FunctionKind.ORCHESTRATOR, name)
    check_payload(input, "input", options.payload_bytes_max)
    check_payload(version, "version", options.payload_bytes_max)
    if start_at is not None and start_at.tzinfo is None:
        raise InvalidInput("The scheduled start time has no time zone.")
    now = clock.now()
    creation = _creation(
        now,
        Origin(
            instance_id=instance_id,
            kind=InstanceKind.ORCHESTRATION,
            name=name,
            execution_id=options.new_execution_id() if execution_id is None else execution_id,
            created_at=now,
            version=_version_of(options, name) if version is None else version,
            input=input,
            scheduled_start_at=start_at,
            trace_context=trace_context,
            tags=tags,
        ),
    )
    creation.has_new_id = has_new_id
    if not has_new_id and may_replace(reuse, RuntimeStatus.Running):
        # Exact as long as no engine runs; an engine says it anew when the former gives way.
        creation.releases = leave_sections(instance_id, await _sections_of(storage, instance_id))
    outcome = await storage.create_instance(creation, reuse)
    if outcome is CreateOutcome.EXISTS:
        ended = "" if reuse is not ReusePolicy.NON_RUNNING else " and has not ended"
        raise InstanceExists(f"An instance with the id '{instance_id}' exists{ended}; it was left as it is.")
    return instance_id


def _version_of(options: ClientOptions, name: str) -> str | None:
    """The version of an orchestration that is started without one; the app's is none for those of remote workers."""
    return options.default_version if options.serves is None or options.is_local(name) else None


async def _sections_of(storage: Storage, instance_id: str) -> Sections:
    """What a living instance that is about to be replaced has locked or asked to lock."""
    record = await storage.get(instance_id)
    if record is None or record.progress.status.is_terminal:
        return {}
    return Instance.loaded(record, await storage.history(instance_id)).sections


def _creation(now: datetime, origin: Origin) -> Creation:
    start_at = origin.scheduled_start_at
    message = StartExecution(
        name=origin.name,
        execution_id=origin.execution_id,
        input=origin.input,
        version=origin.version,
        scheduled_start_at=start_at,
        trace_context=origin.trace_context,
        tags=origin.tags,
    )
    # A start that is due already needs no place among the due messages.
    due_at = start_at if start_at is not None and start_at > now else None
    return Creation(
        record=InstanceRecord(origin, Progress(status=RuntimeStatus.Pending, updated_at=now)),
        start=Envelope(target=origin.instance_id, message=message, due_at=due_at),
    )


async def require_orchestration(storage: Storage, instance_id: str) -> InstanceRecord:
    """The orchestration of that id. Raises InstanceNotFound."""
    record = await storage.get(instance_id)
    if record is None or record.origin.kind is not InstanceKind.ORCHESTRATION:
        raise InstanceNotFound(f"There is no orchestration instance with the id '{instance_id}'.")
    return record


async def require_unfinished(storage: Storage, instance_id: str) -> InstanceRecord:
    """The orchestration of that id. Raises InstanceNotFound, InstanceFinished."""
    record = await require_orchestration(storage, instance_id)
    if record.progress.status.is_terminal:
        raise InstanceFinished(
            f"The instance '{instance_id}' has ended ({record.progress.status.name}) and takes no more messages."
        )
    return record


async def send_control(storage: Storage, instance_id: str, message: AnyMessage) -> None:
    """Send a message to an orchestration that has not ended. Raises InstanceNotFound, InstanceFinished."""
    await require_unfinished(storage, instance_id)
    await storage.send(Envelope(target=instance_id, message=message))


async def terminate_descendants(storage: Storage, instance_id: str, reason: str | None) -> None:
    """End the children of an orchestration, whether it has ended or not, theirs too."""
    for child_id in (await queries.descendants(storage, [instance_id]))[1:]:
        child = await storage.get(child_id)
        if child is not None and not child.progress.status.is_terminal:
            await storage.send(Envelope(target=child_id, message=Terminate(reason, recursive=True)))


async def terminate_now(storage: Storage, instance_ids: Sequence[str], reason: str | None) -> list[str]:
    """End orchestrations without waiting for their code; the ids of those that were not ended by it, in order."""
    ids = list(dict.fromkeys(instance_ids))
    living = [instance_id for instance_id in ids if await _is_living(storage, instance_id)]
    message = Terminate(reason, at_once=True)
    await asyncio.gather(*(storage.send(Envelope(target=instance_id, message=message)) for instance_id in living))
    # One that holds entity locks, or ended by itself meanwhile, has dropped it.
    ended = {instance_id for instance_id in living if await _is_terminated(storage, instance_id)}
    return [instance_id for instance_id in ids if instance_id not in ended]


async def _is_living(storage: Storage, instance_id: str) -> bool:
    record = await storage.get(instance_id)
    if record is None or record.origin.kind is not InstanceKind.ORCHESTRATION:
        return False
    return not record.progress.status.is_terminal


async def _is_terminated(storage: Storage, instance_id: str) -> bool:
    record = await storage.get(instance_id)
    return record is not None and record.progress.status is RuntimeStatus.Terminated


async def rewind(storage: Storage, instance_id: str, reason: str | None) -> None:
    """Let a failed orchestration go on. Raises InstanceNotFound, InstanceFinished, InstanceNotFailed."""
    status = (await require_orchestration(storage, instance_id)).progress.status
    if status is RuntimeStatus.Failed:
        await storage.send(Envelope(target=instance_id, message=Rewind(reason)))
        return
    text = f"The instance '{instance_id}' is {status.name}; only failed instances can be rewound."
    raise InstanceFinished(text) if status.is_terminal else InstanceNotFailed(text)


async def restart(
    storage: Storage,
    clock: Clock,
    options: ClientOptions,
    instance_id: str,
    *,
    new_instance_id: str | None,
    version: str | None,
    trace_context: str | None,
) -> str:
    """Start an orchestration once more with the name, input and tags it had; returns the new instance's id."""
    origin = (await require_orchestration(storage, instance_id)).origin
    return await start(
        storage,
        clock,
        options,
        origin.name,
        instance_id=new_instance_id,
        input=origin.input,
        version=version,
        start_at=None,
        trace_context=trace_context,
        tags=origin.tags,
    )
