"""How long to look: `HYPOTHESIS_PROFILE=long` for more examples, `seeded` for other ones.

The default repeats the same examples every time, so that a change is judged and not its luck.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, settings

PROFILE: Final = os.environ.get("HYPOTHESIS_PROFILE", "quick")
_TIMES: Final = {"quick": 1, "seeded": 1, "long": 50}[PROFILE]


def examples(count: int) -> settings:
    """So many examples, or as many more as the profile wants."""
    return settings(
        max_examples=count * _TIMES,
        deadline=None,
        derandomize=PROFILE == "quick",
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
