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
    left alone until then. What requests from before tell, `sent_s`, neither doubles that time nor
    ends a rest that was asked for.
    """

    failures: int = 0
    ejected_until_s: float = 0.0
    cooling_until_s: float = 0.0
    away_since_s: float = 0.0
    """When it last fell out of favour, or asked to be left alone."""
    probe: int = 0
    """Number of the request that probes; 0 where none does."""
    _probes: int = 0

    def usable(self, now_s: float) -> bool:
        """Whether it may be tried as one of several."""
        if not self.failures:
            return True
        return self.ejected_until_s <= now_s and not self.probe

    def cooling_s(self, now_s: float) -> float:
        """Seconds for which it asked to be left alone; 0 where it may be tried at all."""
        return max(0.0, self.cooling_until_s - now_s)

    def tried(self) -> int:
        """A request is on its way: return the number it has as the probe, else 0."""
        if not self.failures or self.probe:
            return 0
        self._probes += 1
        self.probe = self._probes
        return self.probe

    def succeeded(self, sent_s: float) -> None:
        """It answered a request of then: it is in favour, unless it asked for a rest since."""
        if self.failures and not sent_s <= self.away_since_s < self.cooling_until_s:
            self.failures = self.probe = 0
            self.ejected_until_s = self.cooling_until_s = 0.0

    def failed(self, sent_s: float, now_s: float, retry_after_s: float | None = None) -> None:
        """It did not answer a request of then; `retry_after_s` where it said when to come back.

        To be followed by `ended`.
        """
        if not self.failures or sent_s > self.away_since_s:
            away_s = min(FIRST_EJECTION_S * 2.0 ** min(self.failures, 64), LONGEST_EJECTION_S)
            self.failures += 1
            self.away_since_s = now_s
            self.ejected_until_s = now_s + away_s
        if retry_after_s is not None:
            self.away_since_s = now_s
            rest_until_s = now_s + min(retry_after_s, LONGEST_COOLING_S)
            self.cooling_until_s = max(self.cooling_until_s, rest_until_s)
        self.ejected_until_s = max(self.ejected_until_s, self.cooling_until_s)

    def ended(self, probe: int) -> None:
        """A request ended, whatever came of it: where it was the probe, somebody else may be."""
        if probe and probe == self.probe:
            self.probe = 0
