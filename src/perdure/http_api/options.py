"""What the management API is told about its host."""

from dataclasses import dataclass, field

from perdure.client.options import PAYLOAD_BYTES_MAX
from perdure.http_api.app_names import AppNames


@dataclass(frozen=True, slots=True)
class ManagementOptions:
    """``connection_name`` names the setting that links carry; ``code`` is the system key, None without keys.

    ``origin`` stands at the front of links; None: where the caller reached us.
    """

    task_hub: str
    connection_name: str = "AzureWebJobsStorage"
    code: str | None = None
    body_bytes_max: int = PAYLOAD_BYTES_MAX
    use_forwarded_host: bool = False
    origin: str | None = None
    checks_keys: bool = False
    app: AppNames = field(default_factory=AppNames)
