"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A deadline judges speed, and fails where the machine is busy: that is for bench/.
settings.register_profile("overspill", deadline=None)
settings.load_profile("overspill")
