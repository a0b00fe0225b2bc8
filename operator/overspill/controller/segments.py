"""Trials as the API server keeps them: ConfigMaps, filled one after the other. Pure."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from overspill.controller.keys import SUBJECT_ANNOTATION, TRIALS_LABEL, owned_by
from overspill.trials.record import MOST_TRIALS, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from overspill.controller.keys import Manifest
    from overspill.trials.record import Batch

SEGMENT_BYTES: Final = 64 * 1024
"""From here on a segment is full; one batch alone may take more."""
MOST_BYTES: Final = 700 * 1024
"""What fits into a ConfigMap, Base64 and all."""
SEGMENT_TRIALS: Final = 256
"""And from here on, however small: prompts that are alike pack a hundred to one, and a book of a
hundred thousand of them would take minutes to learn from, if it could be unpacked at all."""
SEGMENT_WORDS: Final = 2**16
"""And words of all its trials: a batch of a sidecar has 48 trials of 1,281 at most. What packs a
thousand to one would take the operator, which learns for all policies, all its memory."""
SEGMENT_BATCHES: Final = 2048
SEGMENTS: Final = 32
"""That are kept: some 4,000 trials."""
DATA: Final = "batches"
_NUMBER_BYTES: Final = 5
"""At most, before they are compressed."""


class Corrupt(ValueError):
    """A segment that cannot be read: somebody else wrote it, or another version did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A segment as its metadata tells of it."""

    name: str
    number: int
    subject: str
    version: str
    """resourceVersion."""
    meta: Manifest


def marks_in(manifests: Iterable[Manifest], policy: Manifest) -> list[Mark]:
    """Find the segments of a policy, the oldest first. Another's by the same name are none."""
    found = [_mark(one["metadata"], policy) for one in manifests]
    return sorted((one for one in found if one is not None), key=lambda one: one.number)


def _mark(meta: Manifest, policy: Manifest) -> Mark | None:
    owners = {one.get("uid") for one in meta.get("ownerReferences") or ()}
    prefix, _, number = meta["name"].rpartition("-")
    ours = prefix + "-" == _prefix(policy) and policy["metadata"]["uid"] in owners
    if not ours or not number.isdecimal():
        return None
    return Mark(
        name=meta["name"],
        number=int(number),
        subject=subject_noted(meta),
        version=meta["resourceVersion"],
        meta=meta,
    )


def subject_noted(meta: Manifest) -> str:
    """Return whom a segment's trials are of."""
    return str((meta.get("annotations") or {}).get(SUBJECT_ANNOTATION, ""))


def selector_of(policy: Manifest) -> str:
    """Return the label selector of a policy's segments."""
    return f"{TRIALS_LABEL}={policy['metadata']['name']}"


def _prefix(policy: Manifest) -> str:
    return f"overspill-{policy['metadata']['name']}-trials-"


def batches_in(manifest: Manifest) -> list[Batch]:
    """Read a segment. Raises: Corrupt."""
    return unpacked(raw_in(manifest))


def raw_in(manifest: Manifest) -> bytes:
    """Return a segment's bytes; none where it holds no Base64."""
    text = (manifest.get("binaryData") or {}).get(DATA) or ""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def unpacked(raw: bytes) -> list[Batch]:
    """Read a segment's bytes. Raises: Corrupt, also where it holds more than any operator wrote."""
    try:
        batches = unpack(raw)
    except ValueError as error:
        raise Corrupt(str(error)) from None
    if _trials(batches) > MOST_TRIALS or not _can_be_read(batches):
        raise Corrupt("it holds more than any operator wrote; delete it")
    return batches


def segment(
    policy: Manifest, number: int, subject: str, raw: bytes, before: Manifest | None = None
) -> Manifest:
    """Write a segment; with `before`, as the next version of exactly that object."""
    fresh = {
        "name": f"{_prefix(policy)}{number}",
        "namespace": policy["metadata"]["namespace"],
        "labels": {
            "app.kubernetes.io/managed-by": "overspill",
            TRIALS_LABEL: policy["metadata"]["name"],
        },
        "annotations": {SUBJECT_ANNOTATION: subject},
        "ownerReferences": [owned_by(policy)],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": before["metadata"] if before else fresh,
        "binaryData": {DATA: base64.b64encode(raw).decode()},
    }


def too_large(batch: Batch) -> bool:
    """Whether a batch fits into no segment."""
    if _words([batch]) > SEGMENT_WORDS:
        return True
    may_be = sum(len(one.words) + len(one.shape) for one in batch.trials) * _NUMBER_BYTES
    return may_be > MOST_BYTES and len(pack([batch])) > MOST_BYTES


def fits(batches: Sequence[Batch], raw: bytes) -> bool:
    """Whether batches, and what they pack to, fit into one segment."""
    few = _trials(batches) <= SEGMENT_TRIALS and _can_be_read(batches)
    return few and len(raw) <= SEGMENT_BYTES


def _can_be_read(batches: Sequence[Batch]) -> bool:
    return len(batches) <= SEGMENT_BATCHES and _words(batches) <= SEGMENT_WORDS


def _trials(batches: Sequence[Batch]) -> int:
    return sum(len(one.trials) for one in batches)


def _words(batches: Sequence[Batch]) -> int:
    return sum(len(one.words) for batch in batches for one in batch.trials)


def chunks(batches: Sequence[Batch]) -> list[bytes]:
    """Pack batches into segments of their own."""
    raw = pack(batches)
    if len(batches) <= 1 or fits(batches, raw):
        return [raw]
    middle = len(batches) // 2
    return [*chunks(batches[:middle]), *chunks(batches[middle:])]
