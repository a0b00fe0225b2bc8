"""Who is out of favour after failing, and for how long. Time is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FIRST_EJECTION_S: Final = 1.0
LONGEST_EJECTION_S: Final = 30.0
LONGEST_COOLING_S: Final = 300.0
"""However long a provider asks us to stay away, we look again after this."""


@dataclass(slots=True)
class Health:
    """One upstream's standing.

    A failure puts it out of favour for a time that doubles with each further one; then one request
    probes it, and only its success lets others follow. An upstream that says when to come back is
    left alone until then.
    """

    failures: int = 0
    ejected_until_s: float = 0.0
    cooling_until_s: float = 0.0
    probing: bool = False

    def usable(self, now_s: float) -> bool:
        """Whether it may be tried as one of several."""
        if not self.failures:
            return True
        return self.ejected_until_s <= now_s and not self.probing

    def cooling_s(self, now_s: float) -> float:
        """Seconds for which it asked to be left alone; 0 where it may be tried at all."""
        return max(0.0, self.cooling_until_s - now_s)

    def tried(self) -> None:
        """A request is on its way: where it is the probe, no other follows."""
        self.probing = self.failures > 0

    def succeeded(self) -> None:
        """It answered: it is in favour again."""
        self.failures, self.probing = 0, False
        self.ejected_until_s = self.cooling_until_s = 0.0

    def failed(self, now_s: float, retry_after_s: float | None = None) -> None:
        """It did not answer; `retry_after_s` where it said when to come back."""
        away_s = min(FIRST_EJECTION_S * 2**self.failures, LONGEST_EJECTION_S)
        if retry_after_s is not None:
            self.cooling_until_s = now_s + min(retry_after_s, LONGEST_COOLING_S)
        self.failures += 1
        self.ejected_until_s = max(now_s + away_s, self.cooling_until_s)
        self.probing = False

    def abandoned(self) -> None:
        """The request ended without a verdict: somebody else may probe."""
        self.probing = False
