"""Who holds a service, and until when. Pure: the time is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Leases:
    """Leases with a time to live.

    Attributes:
        idle_since: when the last lease ended, or the service began; None while one is held. Seconds of the
            caller's clock, as everywhere here.
    """

    idle_since: float | None
    _until: dict[str, float] = field(default_factory=dict)

    def take(self, holder: str, ttl_s: float, now: float) -> None:
        """A new lease, or a longer one."""
        self._until[holder] = max(now + ttl_s, self._until.get(holder, 0.0))
        self.idle_since = None

    def give_back(self, holder: str, now: float) -> None:
        """End a lease; one that is not held is none."""
        self._until.pop(holder, None)
        self._note_idle(now)

    def expire(self, now: float) -> list[str]:
        """End the leases whose time is over; returns their holders."""
        over = [holder for holder, until in self._until.items() if until <= now]
        for holder in over:
            del self._until[holder]
        self._note_idle(now)
        return over

    def left(self, now: float) -> dict[str, float]:
        """Seconds left of each lease, by holder."""
        return {holder: until - now for holder, until in self._until.items()}

    def _note_idle(self, now: float) -> None:
        if not self._until and self.idle_since is None:
            self.idle_since = now
