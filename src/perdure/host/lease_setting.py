"""How long after its last word a process of a shared hub is taken for dead, as the environment says."""

from perdure.host.options import StartFailed

LEASE_SETTING = "PERDURE_LEASE_SECONDS"
LEASE_SECONDS = 10.0
LEASE_SECONDS_MIN = 1.0
LEASE_SECONDS_MAX = 600.0


def lease_seconds_of(text: str | None) -> float:
    """What the setting says, or the default. Raises StartFailed."""
    try:
        seconds = float(text) if text else LEASE_SECONDS
    except ValueError:
        seconds = 0.0
    if not LEASE_SECONDS_MIN <= seconds <= LEASE_SECONDS_MAX:
        raise StartFailed(
            f"{LEASE_SETTING} is a number of seconds from {LEASE_SECONDS_MIN:.0f} to {LEASE_SECONDS_MAX:.0f}, "
            f"not '{text}'.",
            2,
        )
    return seconds
