"""The messages of ``BackendService`` that are answered here: figures, and workers that drain.

Typed by ``backend_messages.pyi``.
"""

from perdure.formats.protobuf.private_pools import classes_of

globals().update(classes_of("backend_service"))
