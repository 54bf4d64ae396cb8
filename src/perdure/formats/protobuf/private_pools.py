"""Message classes out of compiled descriptors, each file in a descriptor pool of its own."""

from importlib.resources import files
from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    empty_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)

_WELL_KNOWN = {
    timestamp_pb2: ("Timestamp",),
    duration_pb2: ("Duration",),
    wrappers_pb2: ("StringValue", "Int32Value", "BoolValue"),
    empty_pb2: ("Empty",),
    struct_pb2: ("Value", "Struct", "ListValue"),
}


def classes_of(source: str) -> dict[str, Any]:
    """Everything that a file named ``SOURCE.proto`` has, and the well-known types, in a pool made for it.

    Message classes and enums by their names, enum values too.
    """
    pool = descriptor_pool.DescriptorPool()
    for module in _WELL_KNOWN:
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    text = files("perdure.formats.protobuf").joinpath(f"generated/{source}.binpb").read_bytes()
    file = descriptor_pb2.FileDescriptorProto.FromString(text)
    pool.AddSerializedFile(text)
    found: dict[str, Any] = {}
    for enum in file.enum_type:
        wrapper = _EnumValues(enum.name, {value.name: value.number for value in enum.value})
        found[enum.name] = wrapper
        found.update(wrapper.values_by_name)
    package = f"{file.package}." if file.package else ""
    names = [f"{package}{message.name}" for message in file.message_type]
    names += [f"google.protobuf.{name}" for members in _WELL_KNOWN.values() for name in members]
    for name in names:
        found[name.rpartition(".")[2]] = message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    return found


class _EnumValues:
    """An enum as generated code offers it: ``Name``, ``Value``, ``keys``, ``items`` and the members."""

    def __init__(self, name: str, values: dict[str, int]) -> None:
        self.__name__ = name
        self.values_by_name = values
        self._names = {number: name for name, number in values.items()}

    def Name(self, number: int) -> str:
        """The member's name. Raises ValueError."""
        if number not in self._names:
            raise ValueError(f"{self.__name__} has no value {number}.")
        return self._names[number]

    def Value(self, name: str) -> int:
        """The member's number. Raises ValueError."""
        if name not in self.values_by_name:
            raise ValueError(f"{self.__name__} has no member {name!r}.")
        return self.values_by_name[name]

    def keys(self) -> list[str]:
        """All names."""
        return list(self.values_by_name)

    def items(self) -> list[tuple[str, int]]:
        """All names with their numbers."""
        return list(self.values_by_name.items())

    def __getattr__(self, name: str) -> int:
        try:
            return self.__dict__["values_by_name"][name]
        except KeyError:
            raise AttributeError(f"{self.__dict__.get('__name__')} has no member {name!r}.") from None
