"""What a sidecar tells of its trials: numbers and hashed words, and no word of any request.

A batch is told once or again, by the same name: what comes twice counts once.
"""

from __future__ import annotations

import itertools
import zlib
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from overspill.routing.features import KNOTS, MEASURES, WORDS, Features

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION: Final = 1
"""Of the packing. The features have a version of their own."""
STEPS: Final = 20
"""Of a measure between two knots."""
MOST_TRIALS: Final = 512
"""In a batch."""
MOST_BYTES: Final = 4 * 2**20
"""Of what is packed, unpacked."""

Part = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
LEAST_CHANCE: Final = 1e-12
"""What came by less would stand for more than there is."""
Chance = Annotated[float, msgspec.Meta(ge=LEAST_CHANCE, le=1.0)]
Moment = Annotated[float, msgspec.Meta(ge=0.0, le=1e11)]
Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
Requests = Annotated[float, msgspec.Meta(ge=0.0, le=1e24)]


class Trial(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A request that both tiers answered."""

    words: Annotated[list[Count], msgspec.Meta(max_length=4096)]
    """Places of its words, ascending; each but the first as the distance to the one before."""
    shape: Annotated[
        list[Annotated[int, msgspec.Meta(ge=0, le=(KNOTS - 1) * STEPS)]],
        msgspec.Meta(min_length=MEASURES, max_length=MEASURES),
    ]
    """Its measures, in steps."""
    score: float
    """By the score in force, which had not learned from it."""
    small: Part
    frontier: Part
    """Qualities."""
    sent: Chance
    """That the frontier answered it."""
    seen: Chance
    """That it became a trial too; not above `sent`."""

    @property
    def places(self) -> list[int]:
        """Places of its words."""
        return list(itertools.accumulate(self.words))

    @property
    def measures(self) -> list[float]:
        """Its measures, as `features` gave them but for rounding."""
        return [one / STEPS for one in self.shape]


class Batch(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What one sidecar saw under one plan, from one report to the next."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-zA-Z-]{1,64}$")]
    features: int
    """Version of the features."""
    ended_s: Moment
    """Unix time."""
    alone: Count
    """Requests that the small model answered and that might have become trials."""
    at_frontier: Count
    """Requests that the frontier answered, trials included."""
    unseen: Count
    """Requests that the small model answered while none could become a trial: for want of money."""
    lost_free: Count
    lost_paid: Count
    """Trials that came to nothing: nobody had room for them, or could tell who was better."""
    trial_rate: Part
    variance: Part
    """Of the plan."""
    spent_usd_micros: Count
    """On judges."""
    trials: Annotated[list[Trial], msgspec.Meta(max_length=MOST_TRIALS)]
    missed_free: Requests = 0.0
    missed_paid: Requests = 0.0
    """Requests that the lost trials were to stand for, by the chances that they were drawn with: a
    trial in fifty stands for more than one in two. 0 where a sidecar of an older
    version tells of some."""


def features_of(features: Features) -> tuple[list[int], list[int]]:
    """Return a trial's words and shape."""
    places = sorted(features.words)
    words = [after - before for before, after in itertools.pairwise([0, *places])]
    return words, [round(one * STEPS) for one in features.shape]


def pack(batches: Sequence[Batch]) -> bytes:
    """Write batches as they are sent and kept: about half a kilobyte a trial."""
    return zlib.compress(msgspec.msgpack.encode([VERSION, list(batches)]), 9)


_DECODER: Final = msgspec.msgpack.Decoder(tuple[int, list[Batch]])


def unpack(raw: bytes) -> list[Batch]:
    """Read what `pack` wrote. Raises: ValueError."""
    reader = zlib.decompressobj()
    try:
        plain = reader.decompress(raw, MOST_BYTES)
        version, batches = _DECODER.decode(plain)
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError(f"trials that cannot be read: {error}") from None
    if reader.unconsumed_tail or version != VERSION:
        raise ValueError(f"trials of format {version}, or too many; this version reads {VERSION}")
    for batch in batches:
        if 0.0 < batch.trial_rate < LEAST_CHANCE:
            raise ValueError(f"batch {batch.name}: trials by a rate that cannot be")
        for trial in batch.trials:
            beyond = sum(trial.words) >= WORDS
            if trial.seen > trial.sent or not isfinite(trial.score) or beyond:
                raise ValueError(f"batch {batch.name}: a trial that cannot be")
    return batches
