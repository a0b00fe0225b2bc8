"""What the watches wake, and what they keep; kopf leaves nothing on any object."""

from __future__ import annotations

from typing import Any

import kopf
import pytest

from overspill.controller.keys import PolicyKey
from overspill.controller.watch import Indices, configure, fingerprint, registry
from overspill.controller.workqueue import WorkQueue
from tests.controller.fakes import KEY, pod, resource

SAME = [
    pytest.param({"resourceVersion": "9"}, True, id="a status written"),
    pytest.param({"labels": {"a": "b"}}, True, id="a label"),
    pytest.param({"generation": 2}, False, id="the spec"),
    pytest.param({"annotations": {"overspill.dev/paused": "true"}}, False, id="paused"),
    pytest.param({"deletionTimestamp": "now"}, False, id="going"),
    pytest.param({"uid": "u2"}, False, id="another object of that name"),
]


@pytest.mark.parametrize(("change", "same"), SAME)
def test_a_policy_deserves_a_look_when_a_person_changed_it(
    change: dict[str, Any], same: bool
) -> None:
    changed = resource()
    changed["metadata"] |= change
    assert (fingerprint(changed) == fingerprint(resource())) is same


def test_policies_and_what_names_a_gone_policy_are_all_looked_at() -> None:
    watched = Indices()
    watched.whole = True
    watched.bind(
        {
            "policies": {KEY: [resource()]},
            "injected": {KEY: [pod("a")], ("legal", "gone"): [pod("b")]},
            "by_service": {("legal", "glm-small"): ["contracts"]},
            "by_target": {("legal", "Deployment", "glm-small"): ["contracts", "gone"]},
            "slices": {},
            "ledgers": {("legal", "spent"): [{}]},
        }
    )
    assert set(watched.all_keys()) == {
        KEY,
        PolicyKey("legal", "gone"),
        PolicyKey("legal", "spent"),
    }
    assert watched.policy(KEY) == resource()
    assert watched.policy(PolicyKey("legal", "gone")) is None
    assert list(watched.injected(KEY)) == [pod("a")]
    assert list(watched.behind("legal", "glm-small")) == [KEY]
    assert list(watched.slices("legal", "glm-small")) == []
    assert list(watched.scaling("legal", "Deployment", "glm-small")) == [resource()]
    assert list(watched.scaling("legal", "StatefulSet", "glm-small")) == []


async def _nothing(*_: object) -> None:
    return


def test_kopf_never_needs_a_finalizer_and_persists_nothing() -> None:
    handlers = registry(Indices(), WorkQueue(_nothing), start=_nothing, stop=_nothing)
    assert list(handlers._spawning.get_all_handlers()) == []
    assert list(handlers._changing.get_all_handlers()) == []
    assert len(list(handlers._watching.get_all_handlers())) == 3
    assert {h.id for h in handlers._indexing.get_all_handlers()} == set(Indices.NAMES)


def test_kopf_is_bounded_and_filters_at_the_server() -> None:
    settings = kopf.OperatorSettings()
    configure(settings)
    assert settings.scanning.disabled
    assert not settings.posting.enabled
    assert settings.networking.request_timeout == 20
    assert settings.watching.label_selectors["", "v1", "pods"] == "overspill.dev/policy"


async def _event(handlers: kopf.OperatorRegistry, name: str, **facts: object) -> None:
    (handler,) = [h for h in handlers._watching.get_all_handlers() if name in h.id]
    await handler.fn(**facts)  # type: ignore[misc,arg-type]


@pytest.mark.asyncio
async def test_no_policy_is_looked_at_by_the_clock_before_every_list_has_come_in() -> None:
    """Pods that were not listed yet would be no pods, and demand without pods is zero."""
    watched = Indices()
    queue: WorkQueue[PolicyKey] = WorkQueue(_nothing)
    handlers = registry(watched, queue, start=_nothing, stop=_nothing)
    listed: dict[str, object] = {name: {} for name in Indices.NAMES}
    watched.bind(listed | {"policies": {KEY: [resource()]}})
    assert set(watched.all_keys()) == set()
    # kopf handles no event before its indices are whole
    await _event(handlers, "_policy_changed", body=resource(), event={"type": None})
    assert set(watched.all_keys()) == {KEY}
