"""TimeSpan texts as host.json and schedules write them: ``[d.]hh:mm[:ss[.fffffff]]``."""

import re
from datetime import timedelta

_TIMESPAN = re.compile(r"(?:(?P<d>\d{1,8})\.)?(?P<h>\d+):(?P<m>\d{1,2})(?::(?P<s>\d{1,2})(?:\.(?P<f>\d{1,7}))?)?")


def parse_timespan(text: str) -> timedelta:
    """Read a TimeSpan.

    Raises ValueError, saying how to write it, for anything else; hours from 24 on need a day part, because
    upstream would silently read ``24:00:00`` as 24 days.
    """
    found = _TIMESPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"'{text}' is not a time span; write hh:mm:ss or d.hh:mm:ss")
    hours, minutes, seconds = int(found["h"]), int(found["m"]), int(found["s"] or 0)
    if hours >= 24:
        with_days = f"{hours // 24}.{hours % 24:02}:{minutes:02}:{seconds:02}"
        raise ValueError(f"'{text}' has {hours} hours; write whole days in front, as in {with_days}")
    if minutes >= 60 or seconds >= 60:
        raise ValueError(f"'{text}' has 60 or more minutes or seconds")
    microseconds = int((found["f"] or "").ljust(7, "0")) // 10
    return timedelta(int(found["d"] or 0), seconds, microseconds, minutes=minutes, hours=hours)
