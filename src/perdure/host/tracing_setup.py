"""Whether spans are made, and where they go. Imports OpenTelemetry only when they are (functions-host.md §5)."""

import logging
import os
from typing import TYPE_CHECKING

from perdure.host.options import StartFailed
from perdure.host.settings import Settings

if TYPE_CHECKING:
    from perdure.host.tracing import Tracing

ENDPOINT_SETTINGS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

logger = logging.getLogger("perdure.host")


def open_tracing(settings: Settings) -> "Tracing | None":
    """Tracing as host.json and the environment ask for it; None when they do not.

    Raises StartFailed when the packages for it are missing.
    """
    wanted = settings.host.durable.tracing
    if not wanted.is_enabled or wanted.version == "None":
        return None
    if settings.host.telemetry_mode != "OpenTelemetry":
        logger.warning(
            'Distributed tracing is on, and goes nowhere: set "telemetryMode": "OpenTelemetry" in host.json.'
        )
        return None
    if not any(os.environ.get(name) for name in ENDPOINT_SETTINGS):
        logger.warning("Distributed tracing is on, and goes nowhere: set %s to a collector.", ENDPOINT_SETTINGS[0])
        return None
    if wanted.version == "V1":
        logger.warning('Distributed tracing V1 does not exist here; V2 is used. Say "tracing": {"version": "V2"}.')
    try:
        from perdure.host.tracing import Tracing
        from perdure.telemetry.spans import otlp_spans
    except ImportError as error:
        raise StartFailed(f"Distributed tracing needs packages: pip install 'perdure[otel]' ({error}).", 1) from error
    name = settings.app.get("WEBSITE_SITE_NAME") or settings.app_folder.name
    return Tracing(otlp_spans(name), with_payloads=wanted.trace_payloads)
