"""How much better the frontier would answer: learned weights, applied without numpy.

The artefact is text, small enough for a ConfigMap: JSON with versions, a SHA-256 over the rest, and
one signed byte a hashed word.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from overspill.routing.features import KNOTS, MEASURES, VERSION, WORDS, features, spread

FORMAT: Final = 1
"""Of the artefact's text."""
MIDDLE: Final = 128
"""The byte of weight 0: bytes are unsigned, and looking one up makes no new object."""
_SHAPE: Final = MEASURES * KNOTS


class InvalidScore(ValueError):
    """The artefact cannot be used; says why and what to do. Whoever has it keeps the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A linear function of a prompt's features."""

    base: float
    shape: tuple[float, ...]
    """Quality a knot, MEASURES × KNOTS."""
    words: bytes
    """WORDS weights, as byte - MIDDLE in units of `words_unit`."""
    words_unit: float
    trained_on: tuple[str, ...] = ()
    """Names of the sets of examples."""
    examples: int = 0

    def gain(self, prompt: str) -> float:
        """Return the expected quality of the frontier's answer less the small model's, about -1..1.

        `prompt` is as `prompt.text_of` writes it.
        """
        seen = features(prompt)
        shape = self.shape
        gain = self.base
        for place, value in spread(seen.shape):
            gain += value * shape[place]
        if many := len(seen.words):
            total = sum(map(self.words.__getitem__, seen.words)) - MIDDLE * many
            gain += self.words_unit * total / many**0.5
        return gain

    def dump(self) -> str:
        """Write the artefact."""
        said: dict[str, Any] = {
            "format": FORMAT,
            "features": VERSION,
            "trained_on": list(self.trained_on),
            "examples": self.examples,
            "base": self.base,
            "shape": list(self.shape),
            "words_unit": self.words_unit,
            "words": base64.b64encode(zlib.compress(self.words, 9)).decode(),
        }
        return json.dumps({**said, "sha256": _checksum(said)}) + "\n"

    @classmethod
    def load(cls, text: str) -> Score:
        """Read an artefact. Raises: InvalidScore."""
        said = _checked(text)
        try:
            packed = base64.b64decode(said["words"], validate=True)
            words = zlib.decompressobj().decompress(packed, WORDS + 1)  # a few bytes may be GiB
            score = cls(
                base=float(said["base"]),
                shape=tuple(map(float, said["shape"])),
                words=words,
                words_unit=float(said["words_unit"]),
                trained_on=tuple(map(str, said["trained_on"])),
                examples=int(said["examples"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError, zlib.error) as error:
            raise InvalidScore(f"the score cannot be read ({error!r}); train it anew") from error
        if len(score.words) != WORDS or len(score.shape) != _SHAPE:
            raise InvalidScore(
                f"the score has {len(score.words)} words and {len(score.shape)} knots, expected "
                f"{WORDS} and {_SHAPE}; train it anew"
            )
        if not all(map(isfinite, (score.base, score.words_unit, *score.shape))):
            raise InvalidScore("the score has weights that are no numbers; train it anew")
        return score


def _checked(text: str) -> dict[str, Any]:
    """Raises: InvalidScore."""
    try:
        said = json.loads(text)
    except ValueError as error:
        raise InvalidScore(f"the score is no JSON ({error}); train it anew") from error
    except RecursionError:
        raise InvalidScore("the score is nested too deeply; train it anew") from None
    if not isinstance(said, dict):
        raise InvalidScore("the score is no JSON object; train it anew")
    for name, known in (("format", FORMAT), ("features", VERSION)):
        if said.get(name) != known:
            raise InvalidScore(
                f"the score's {name} is {said.get(name)!r}, this version knows {known}; "
                "train it anew"
            )
    if said.pop("sha256", None) != _checksum(said):
        raise InvalidScore("the score's sha256 is not that of its content; fetch it anew")
    return said


def _checksum(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
