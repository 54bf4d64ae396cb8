"""The protocol's message classes and enum values, in a descriptor pool of their own.

The official packages put other copies of the same messages, which have no package, into the default pool; two
copies in one pool are refused. In a private pool both live in one process, and their bytes agree
(docs/decisions/0013-private-protobuf-pool.md). Typed by ``messages.pyi``.
"""

from perdure.formats.protobuf.private_pools import classes_of

globals().update(classes_of("orchestrator_service"))
