# Made by `make protobuf`; do not edit.
# backend_service.proto: 4e439749b33173fa388226e257c5ec380f574356586e86696fc199dc6a70459c
import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

Duration = _duration_pb2.Duration

class GetMetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetMetricsResponse(_message.Message):
    __slots__ = ("metrics",)
    METRICS_FIELD_NUMBER: _ClassVar[int]
    metrics: BackendMetrics
    def __init__(self, metrics: _Optional[_Union[BackendMetrics, _Mapping]] = ...) -> None: ...

class BackendMetrics(_message.Message):
    __slots__ = ("activityWorkItems", "orchestratorWorkItems", "entityWorkItems", "connectedWorkers")
    ACTIVITYWORKITEMS_FIELD_NUMBER: _ClassVar[int]
    ORCHESTRATORWORKITEMS_FIELD_NUMBER: _ClassVar[int]
    ENTITYWORKITEMS_FIELD_NUMBER: _ClassVar[int]
    CONNECTEDWORKERS_FIELD_NUMBER: _ClassVar[int]
    activityWorkItems: WorkItemMetrics
    orchestratorWorkItems: WorkItemMetrics
    entityWorkItems: WorkItemMetrics
    connectedWorkers: ConnectedWorkerMetrics
    def __init__(self, activityWorkItems: _Optional[_Union[WorkItemMetrics, _Mapping]] = ..., orchestratorWorkItems: _Optional[_Union[WorkItemMetrics, _Mapping]] = ..., entityWorkItems: _Optional[_Union[WorkItemMetrics, _Mapping]] = ..., connectedWorkers: _Optional[_Union[ConnectedWorkerMetrics, _Mapping]] = ...) -> None: ...

class WorkItemMetrics(_message.Message):
    __slots__ = ("pending", "active", "oldestAgeInSeconds")
    PENDING_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_FIELD_NUMBER: _ClassVar[int]
    OLDESTAGEINSECONDS_FIELD_NUMBER: _ClassVar[int]
    pending: int
    active: int
    oldestAgeInSeconds: int
    def __init__(self, pending: _Optional[int] = ..., active: _Optional[int] = ..., oldestAgeInSeconds: _Optional[int] = ...) -> None: ...

class ConnectedWorkerMetrics(_message.Message):
    __slots__ = ("count",)
    COUNT_FIELD_NUMBER: _ClassVar[int]
    count: int
    def __init__(self, count: _Optional[int] = ...) -> None: ...

class BeginWorkerDrainRequest(_message.Message):
    __slots__ = ("drainTimeout",)
    DRAINTIMEOUT_FIELD_NUMBER: _ClassVar[int]
    drainTimeout: _duration_pb2.Duration
    def __init__(self, drainTimeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class BeginWorkerDrainResponse(_message.Message):
    __slots__ = ("workerFound",)
    WORKERFOUND_FIELD_NUMBER: _ClassVar[int]
    workerFound: bool
    def __init__(self, workerFound: _Optional[bool] = ...) -> None: ...
