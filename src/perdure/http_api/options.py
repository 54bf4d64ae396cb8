"""What the management API is told about its host."""

from dataclasses import dataclass

from perdure.client.options import PAYLOAD_BYTES_MAX


@dataclass(frozen=True, slots=True)
class ManagementOptions:
    """``connection_name`` names the setting that links carry; ``code`` is the system key, None without keys."""

    task_hub: str
    connection_name: str = "AzureWebJobsStorage"
    code: str | None = None
    body_bytes_max: int = PAYLOAD_BYTES_MAX
    use_forwarded_host: bool = False
