"""Make what perdure.formats.protobuf reads from its .proto files; run by `make protobuf`.

Two files come out of each: the compiled descriptor, from which the message classes are built at import, and the stub
that types them. No code is generated, so no version of the protobuf runtime is too old for it or too new.
"""

import hashlib
import re
import sys
import tempfile
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

HOME = Path(__file__).resolve().parent.parent / "src" / "perdure" / "formats" / "protobuf"
MODULES = {"orchestrator_service": "messages", "backend_service": "backend_messages"}
"""Which module offers the classes of which file."""
WELL_KNOWN = {
    "duration": ["Duration"],
    "empty": ["Empty"],
    "struct": ["ListValue", "Struct", "Value"],
    "timestamp": ["Timestamp"],
    "wrappers": ["BoolValue", "Int32Value", "StringValue"],
}


def main() -> None:
    """Compile all."""
    for source, module in MODULES.items():
        make(HOME / f"{source}.proto", module)


def make(source: Path, module: str) -> None:
    """Compile one, and write both files."""
    bundled = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        descriptor = Path(folder, "set")
        options = [f"-I{HOME}", f"-I{bundled}", f"--descriptor_set_out={descriptor}", f"--pyi_out={folder}"]
        if protoc.main(["protoc", *options, source.name]) != 0:
            sys.exit(1)
        [file] = descriptor_pb2.FileDescriptorSet.FromString(descriptor.read_bytes()).file
        stub = Path(folder, f"{source.stem}_pb2.pyi").read_text()
    (HOME / "generated" / f"{source.stem}.binpb").write_bytes(file.SerializeToString(deterministic=True))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    (HOME / f"{module}.pyi").write_text(
        f"# Made by `make protobuf`; do not edit.\n# {source.name}: {digest}\n{_finished(stub)}"
    )


def _finished(stub: str) -> str:
    # The descriptor object stays inside; the well-known types belong to the same private pool.
    stub = re.sub(r"^DESCRIPTOR: .*\n\n?", "", stub, flags=re.M)
    aliases = [
        f"{name} = _{module}_pb2.{name}\n"
        for module, names in WELL_KNOWN.items()
        for name in names
        if f"{module}_pb2 as" in stub
    ]
    imports, rest = stub.split("\n\nclass ", 1)
    return f"{imports.rstrip()}\n\n{''.join(aliases)}\nclass {rest}"


if __name__ == "__main__":
    main()
