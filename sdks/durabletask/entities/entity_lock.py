"""Where programs of the official package look for these names."""

from perdure.core.replay.critical_section import EntityLock

__all__ = ["EntityLock"]
