"""Knowing a policy's quality: what is kept of its trials is read, weighed and learned from."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from overspill.api import parse_sidecar_config
from overspill.api.errors import InvalidConfig
from overspill.api.sidecar_config import CONFIG_FILE
from overspill.controller import plans, segments
from overspill.controller.errors import Refused
from overspill.controller.evidence import evidence_in
from overspill.controller.keys import config_map_name
from overspill.controller.memory import is_due
from overspill.controller.plans import Quality, Segment
from overspill.controller.tutor import book_of
from overspill.learning.lesson import TAUGHT_BY, rescored
from overspill.routing.score import InvalidScore, Score
from overspill.trials.subject import configured_subject, subject_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from overspill.api.sidecar_config import SidecarConfig
    from overspill.controller.case import Case
    from overspill.controller.cluster import Cluster
    from overspill.controller.evidence import Evidence
    from overspill.controller.keys import Manifest
    from overspill.controller.plans import Aim
    from overspill.controller.segments import Mark
    from overspill.controller.tutor import Tutor
    from overspill.learning.design import Floats

EVERY_S: Final = 30.0
"""How often it is asked what sidecars have told."""
log = logging.getLogger(__name__)


async def assessed(
    cluster: Cluster, tutor: Tutor, case: Case, known: Quality | None, named_score: str | None
) -> Quality | None:
    """Take one look at what trials tell; None of a policy that tries nothing.

    `named_score` is the text of the score that the policy names.
    """
    aim, subject = plans.aim_of(case.spec), subject_of(case.spec)
    if aim is None:
        return None
    if known is None:
        known = await _taken_over(cluster, case, subject, aim)
    elif known.subject != subject:
        known = plans.begun(subject, aim)
    known, last_s = plans.aimed(known, aim), known.looked_at_s
    if not is_due(last_s, case.now_s, EVERY_S) and not tutor.has_taught(case.key):
        return known
    read = await _read(cluster, case, known.segments, subject)
    if read is None:
        return replace(known, looked_at_s=last_s if last_s is None else case.now_s)
    lesson = tutor.collect(case.key, subject)
    if lesson is not None:
        known = plans.taught(known, lesson)
    if read != known.segments or lesson is not None or last_s is None:
        known = await _weighed(known, read, anew=lesson is not None)
    if known.wants_lesson:
        tutor.ask(case.key, subject, known.segments, named_score)
        known = replace(known, fresh_trials=0, asked_with=known.trials)
    return replace(known, looked_at_s=case.now_s)


async def _weighed(known: Quality, read: Mapping[str, Segment], *, anew: bool) -> Quality:
    taught = known.score if known.learned else None
    evidence, scores, corrupt = await asyncio.to_thread(_evidence, read, known.scores, taught)
    kept = {name: replace(one, raw=b"") if name in corrupt else one for name, one in read.items()}
    known = plans.informed(replace(known, segments=kept, scores=scores), evidence)
    return plans.replanned(known, anew=anew)


def _evidence(
    read: Mapping[str, Segment], scores: Mapping[str, Floats], taught: str | None
) -> tuple[Evidence | None, Mapping[str, Floats], frozenset[str]]:
    """Sum up what was read, with all trials' scores: by the score that is published, if there is
    one that they have taught.
    """
    book, corrupt = book_of(read)
    if taught is not None:
        scores = rescored(book, taught, scores)
    return evidence_in(book, scores), scores, corrupt


async def _read(
    cluster: Cluster, case: Case, known: Mapping[str, Segment], subject: str
) -> Mapping[str, Segment] | None:
    """Read the segments that have changed, the oldest first. Those of another subject go, and of
    more than are kept only the newest are read, whoever made the others.

    None where they may not be listed: that says nothing of what is there.
    """
    namespace, selector = case.key.namespace, segments.selector_of(case.policy)
    try:
        marks = segments.marks_in(await cluster.trial_marks(namespace, selector), case.policy)
    except Refused as error:
        log.warning("the trials of %s cannot be listed: %s", case.key, error)
        return None
    ours = [mark for mark in marks if mark.subject == subject][-segments.SEGMENTS :]
    found: dict[str, Segment] = {}
    for mark in ours:
        held = known.get(mark.name)
        if held is None or held.version != mark.version:
            held = _segment(await cluster.config_map(namespace, mark.name))
        if held is not None:
            found[mark.name] = held
    await _let_go(cluster, marks, ours)
    return found


def _segment(manifest: Manifest | None) -> Segment | None:
    if manifest is None:
        return None
    version = manifest["metadata"]["resourceVersion"]
    return Segment(version=version, raw=segments.raw_in(manifest))


async def _let_go(cluster: Cluster, marks: list[Mark], ours: list[Mark]) -> None:
    """Delete what is of another subject, and older than ours: what is newer may be of the next."""
    if not ours:
        return
    for mark in marks:
        if mark.subject != ours[-1].subject and mark.number < ours[-1].number:
            await cluster.delete_config_map(mark.meta)


async def _taken_over(cluster: Cluster, case: Case, subject: str, aim: Aim) -> Quality:
    """Go on from what an earlier process published: sidecars have it, and it was proven.

    The plan holds only for the very policy and score that it was made for; the score for the same
    models.
    """
    start = plans.begun(subject, aim)
    config = _published(
        await cluster.config_map(case.key.namespace, config_map_name(case.key.name)), case
    )
    if config is None or config.complexity is None or configured_subject(config) != subject:
        return start
    plan, text = config.complexity.plan, config.complexity.score
    if plan is not None and config.generation == case.generation:
        start = replace(start, plan=plan)
    if text is None:
        return start
    try:
        score = Score.load(text)
    except InvalidScore as error:
        log.warning("the score published for %s is not taken over: %s", case.key, error)
        return plans.begun(subject, aim)
    taught = score.trained_on == TAUGHT_BY
    return replace(start, score=text, examples=score.examples) if taught else start


def _published(manifest: Manifest | None, case: Case) -> SidecarConfig | None:
    owners = ((manifest or {}).get("metadata") or {}).get("ownerReferences") or ()
    text = ((manifest or {}).get("data") or {}).get(CONFIG_FILE)
    if text is None or case.policy["metadata"]["uid"] not in {one.get("uid") for one in owners}:
        return None
    try:
        return parse_sidecar_config(text)
    except InvalidConfig as error:
        log.warning("what was published for %s is not taken over: %s", case.key, error)
        return None
