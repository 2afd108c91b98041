"""What a process that goes on says of the log path, piece by piece, is what the whole says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_worlds import ACCOUNT, DECLARED, REGION, TRAIL_ARN, at_us, fact

from schemas.alerts import Alert, Severity, Status
from schemas.log_path import Aspect, PathFact
from schemas.tampering import Tampering
from schemas.times import DAY_US
from schemas.trails import LogPath, Ownership
from transforms.known_path import KnownPath
from transforms.modification_incidents import incident_id_of
from transforms.path_claims import claimed, joined
from transforms.path_fold import tell
from transforms.path_state import PathState

QUEUE, TOPIC, KEY = "queue", "topic", "key/1"
DAY_MIN = 24 * 60


def finding(minute: float, *touched: str, succeeded: bool = True, late: float = 5, **members: Any) -> Tampering:
    """What a rule found on something that is not known to be ours."""
    known: dict[str, Any] = {"rule": "queue_purged", "event_id": f"purge-{minute}-{touched}", **members}
    return Tampering(
        rule_title="Queue purged",
        scope="trail",
        severity=Severity.INFO,
        succeeded=succeeded,
        event_name="PurgeQueue",
        event_us=at_us(minute),
        delivered_us=at_us(minute + late),
        account_id=ACCOUNT,
        region=REGION,
        resource=touched[0],
        ownership=Ownership.OTHER,
        actor=None,
        error_code=None if succeeded else "AccessDenied",
        object_key="o",
        mitre=(),
        own_severity=Severity.CRITICAL,
        touched=touched,
        **known,
    )


def leads(minute: float, resource: str, to: str, **members: Any) -> PathFact:
    """A link that is shown at a minute."""
    return fact(Aspect.LEADS, minute, sound=True, resource=resource, links=(to,), event_name="Subscribe", **members)


def escalations(facts: list[PathFact], findings: list[Tampering], log_path: LogPath = DECLARED) -> list[Alert]:
    """Findings that are told again."""
    return [each for each in tell(facts, log_path, None, findings).alerts if each.rule is not None]


TO_TOPIC, TO_QUEUE = leads(100, TRAIL_ARN, TOPIC), leads(200, TOPIC, QUEUE)


@pytest.mark.parametrize(
    ("facts", "found", "minutes"),
    [
        ([TO_TOPIC, TO_QUEUE], finding(10, QUEUE), [205]),
        ([leads(100, TOPIC, QUEUE), leads(200, TRAIL_ARN, TOPIC)], finding(10, QUEUE), [205]),
        ([TO_TOPIC, TO_QUEUE], finding(10, "elsewhere"), []),
        ([TO_QUEUE], finding(10, QUEUE), []),
        ([TO_TOPIC, TO_QUEUE], finding(200, QUEUE), []),  # told in full at once
        ([TO_TOPIC, TO_QUEUE], finding(300, QUEUE), []),
        ([TO_TOPIC, TO_QUEUE], finding(10, TOPIC, QUEUE), [105]),
        ([TO_TOPIC, TO_QUEUE], finding(150, TOPIC, QUEUE), []),
        ([TO_TOPIC, leads(8 * DAY_MIN, TOPIC, QUEUE)], finding(10, QUEUE), []),  # a week is over
    ],
)
def test_finding_is_escalated_when_its_resource_joins(
    facts: list[PathFact], found: Tampering, minutes: list[int]
) -> None:
    """Once, as an update at the severity of the path, by whichever link closed the gap; not if it was told in full."""
    alerts = escalations(facts, [found])
    assert [each.detected_us for each in alerts] == list(map(at_us, minutes))
    assert {(each.severity, each.status, each.incident_id) for each in alerts} <= {
        (Severity.CRITICAL, Status.UPDATED, incident_id_of(found))
    }
    told_in_full = claimed(found, joined(facts, DECLARED)).severity is Severity.CRITICAL
    assert not (told_in_full and alerts)


def test_attempt_is_escalated_less_far() -> None:
    """A refused call stays one severity below, as it is elsewhere."""
    (alert,) = escalations([leads(100, TRAIL_ARN, QUEUE)], [finding(10, QUEUE, succeeded=False)])
    assert (alert.kind, alert.severity) == ("trail.attempted", Severity.HIGH)


def test_what_is_undone_is_not_escalated() -> None:
    """An incident that is over needs nobody to look."""
    found = finding(10, KEY, rule="log_key_disabled")
    members: dict[str, Any] = {"resource": KEY, "incident_id": incident_id_of(found)}
    disabled, enabled = (fact(Aspect.KEY_USE, minute, sound=minute > 10, **members) for minute in (10, 20))
    link = leads(100, TRAIL_ARN, KEY)
    assert len(escalations([disabled, link], [found])) == 1
    assert escalations([disabled, enabled, link], [found]) == []


def test_rules_of_one_event_are_one_alert() -> None:
    """Named by the most severe; copies of the event change nothing."""
    two = [finding(10, QUEUE), finding(10, QUEUE, rule="queue_locked"), finding(10, QUEUE, late=9)]
    (alert,) = escalations([leads(100, TRAIL_ARN, QUEUE)], two)
    assert (alert.rule, alert.title[-20:]) == ("queue_locked", " (also queue_purged)")


def test_news_is_taken_in_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much is known: only what was delivered out of order folds it all again."""
    facts = [fact(Aspect.KEY_USE, minute, sound=True, resource=f"key/{minute}") for minute in range(300)]
    known, told_at = KnownPath(DECLARED, facts), []
    known.tell(at_us(400))
    learn = PathState.learn

    def spied(state: PathState, some: list[PathFact], us: int) -> Iterator[Alert]:
        told_at.append(us)
        return learn(state, some, us)

    monkeypatch.setattr(PathState, "learn", spied)
    known.learn([facts[-1], fact(Aspect.LOGGING, 400, sound=False)])
    assert [each.kind for each in known.tell(at_us(405))] == ["trail.coverage_lost"]
    assert told_at == [at_us(405)]
    known.learn([fact(Aspect.LOGGING, 399, sound=True)])
    known.tell(at_us(405))
    assert len(told_at) == 1 + 302


NAMES = (QUEUE, TOPIC, KEY, TRAIL_ARN)
FACTS = st.lists(
    st.one_of(
        st.builds(leads, st.integers(0, 30), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.builds(
            lambda minute, sound, late: fact(
                Aspect.KEY_DELETION, minute, sound=sound, late=late, resource=KEY,
                deadline_us=None if sound else at_us(minute) + DAY_US,
            ),
            st.integers(0, 30), st.booleans(), st.integers(0, 30),
        ),
        st.builds(
            lambda minute, sound, late: fact(Aspect.LOGGING, minute, sound=sound, late=late),
            st.integers(0, 30), st.booleans(), st.integers(0, 30),
        ),
    ),
    max_size=10,
    unique_by=lambda each: each.identity,
)  # fmt: skip
FINDINGS = st.lists(
    st.builds(
        lambda minute, touched, late: finding(minute, *touched, late=late),
        st.integers(0, 30), st.lists(st.sampled_from(NAMES), min_size=1, max_size=2, unique=True), st.integers(0, 30),
    ),
    max_size=6,
)  # fmt: skip


def piecemeal(facts: list[PathFact], findings: list[Tampering], heard_us: list[list[int]]) -> dict[str, Alert]:
    """What is told by a process that hears of each fact and finding at its time."""
    known, told = KnownPath(DECLARED, ()), dict[str, Alert]()
    for as_of_us in sorted({*heard_us[0], *heard_us[1]} | {at_us(0) + 3 * DAY_US}):
        new = [each for each, at in zip(facts, heard_us[0], strict=True) if at == as_of_us]
        known.learn(new, [each for each, at in zip(findings, heard_us[1], strict=True) if at == as_of_us])
        for alert in known.tell(as_of_us):
            told.setdefault(alert.alert_id, alert)
    return told


@given(facts=FACTS, findings=FINDINGS, cuts=st.lists(st.integers(0, 61), max_size=5))
def test_piecemeal_is_the_whole(facts: list[PathFact], findings: list[Tampering], cuts: list[int]) -> None:
    """Who hears of what was delivered since it last looked has told the same in the end."""
    looks = [*sorted(map(at_us, cuts)), at_us(62)]
    heard = [[next(look for look in looks if each.delivered_us <= look) for each in some] for some in (facts, findings)]
    whole = tell(facts, DECLARED, at_us(0) + 3 * DAY_US, findings).alerts
    assert piecemeal(facts, findings, heard) == {each.alert_id: each for each in whole}


@given(facts=FACTS, findings=FINDINGS, data=st.data())
def test_whatever_order_nothing_is_missed(
    facts: list[PathFact], findings: list[Tampering], data: st.DataObject
) -> None:
    """Who hears of things late may have told more in good faith, and never less."""
    heard = [[at_us(data.draw(st.integers(0, 62))) for _ in some] for some in (facts, findings)]
    whole = tell(facts, DECLARED, at_us(0) + 3 * DAY_US, findings).alerts
    told = piecemeal(facts, findings, heard)
    assert {each.alert_id for each in whole} <= set(told)
