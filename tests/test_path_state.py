"""The fold over facts: recovery and deadlines, whatever order facts come in and however often."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from path_worlds import DECLARED, KEY_ID, at_us, fact

from schemas.alerts import Alert, Status
from schemas.log_path import Aspect, PathFact
from schemas.times import DAY_US
from schemas.trails import LogPath
from transforms.known_path import KnownPath
from transforms.path_fold import tell

KEY = f"key/{KEY_ID}"
STOP, START = fact(Aspect.LOGGING, 10, sound=False), fact(Aspect.LOGGING, 30, sound=True)


def told(*facts: PathFact, as_of_us: int | None = None, log_path: LogPath = DECLARED) -> tuple[Alert, ...]:
    """The alerts of facts, but for those of what trails record."""
    return tuple(each for each in tell(facts, log_path, as_of_us).alerts if each.kind != "trail.coverage_lost")


def spans(*facts: PathFact) -> list[tuple[str, int, int]]:
    """Incident, and the minutes of harm, of each recovery."""
    minute_us = at_us(1) - at_us(0)
    found = [each for each in told(*facts) if each.status is Status.RESOLVED]
    return [
        (each.incident_id, (each.window_start_us - at_us(0)) // minute_us, (each.window_end_us - at_us(0)) // minute_us)
        for each in found
    ]


def test_start_answers_stop() -> None:
    """The incident is resolved, with the time in between and both events."""
    (alert,) = told(STOP, START)
    assert (alert.incident_id, alert.kind, alert.status) == ("incident", "trail.tampered", Status.RESOLVED)
    assert (alert.window_start_us, alert.window_end_us, alert.detected_us) == (at_us(10), at_us(30), at_us(35))
    assert alert.evidence.event_ids == (STOP.event_id, START.event_id)
    assert "20m" in alert.title
    proofs = (
        "last proof of sight StopLogging at 2026-11-01T00:10:00Z, first after it StartLogging at 2026-11-01T00:30:00Z"
    )
    assert proofs in alert.title


def test_recovery_is_of_the_incidents_account() -> None:
    """A key's owner disabled it, and somebody else's record shows that it is enabled again."""
    members = {"resource": KEY, "name": KEY}
    disabled = fact(Aspect.KEY_USE, 10, sound=False, account_id="999999999999", region="eu-west-1", **members)
    (alert,) = told(disabled, fact(Aspect.KEY_USE, 30, sound=True, **members))
    assert (alert.account_id, alert.region, alert.status) == ("999999999999", "eu-west-1", Status.RESOLVED)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ((STOP,), []),
        ((START, fact(Aspect.LOGGING, 40, sound=False)), []),
        ((STOP, fact(Aspect.LOGGING, 20, sound=False), START), [("incident", 10, 30)]),
        ((STOP, fact(Aspect.MANAGEMENT_SELECTORS, 20, sound=False), START), []),
        (
            (
                STOP,
                fact(Aspect.MANAGEMENT_SELECTORS, 20, sound=False),
                START,
                fact(Aspect.MANAGEMENT_SELECTORS, 40, sound=True),
            ),
            [("incident", 10, 40)],
        ),
        ((STOP, fact(Aspect.OTHER, 20, sound=False), START), []),
        (
            (STOP, START, fact(Aspect.LOGGING, 50, sound=False), fact(Aspect.LOGGING, 60, sound=True)),
            [("incident", 10, 30), ("incident", 50, 60)],
        ),
        ((STOP, START, fact(Aspect.LOGGING, 32, sound=False, late=3)), []),
        ((fact(Aspect.DATA_SELECTORS, 5, sound=False), STOP, START), [("incident", 10, 30)]),
        (
            (
                fact(Aspect.DATA_SELECTORS, 1, sound=True, value="selected"),
                fact(Aspect.DATA_SELECTORS, 5, sound=False),
                STOP,
                START,
            ),
            [],
        ),
    ],
)  # fmt: skip
def test_recovery_needs_all_that_was_harmed(facts: tuple[PathFact, ...], expected: list[tuple[str, int, int]]) -> None:
    """An incident is resolved when nothing of it is left harmed, as far as was known when the remedy came."""
    assert spans(*facts) == expected


def test_setting_that_is_back_is_sound() -> None:
    """Without a declared trail a bucket is right again if it is the one that it was when last right."""
    known = fact(Aspect.BUCKET, 0, sound=True, value="logs", event_name="CreateTrail")
    away = fact(Aspect.BUCKET, 10, sound=False, value="elsewhere")
    assert spans(known, away, fact(Aspect.BUCKET, 20, sound=False, value="third")) == []
    assert spans(known, away, fact(Aspect.BUCKET, 20, sound=False, value="logs")) == [("incident", 10, 20)]


def test_late_harm_is_resolved_again() -> None:
    """A call that is delivered after the remedy of a later one opens the incident, and the remedy closes it again."""
    late = fact(Aspect.LOGGING, 15, sound=False, late=100)
    alerts = told(STOP, START, late)
    assert [each.detected_us for each in alerts] == [at_us(35), at_us(115)]
    assert len({each.alert_id for each in alerts}) == 2


def doomed(minute: float, days: int, **members: Any) -> PathFact:
    """A key that is to be deleted."""
    return fact(
        Aspect.KEY_DELETION,
        minute,
        sound=False,
        resource=KEY,
        event_name="ScheduleKeyDeletion",
        deadline_us=at_us(minute) + days * DAY_US,
        **members,
    )


CANCEL = fact(Aspect.KEY_DELETION, 2 * 24 * 60, sound=True, resource=KEY, event_name="CancelKeyDeletion")


def bombs(*facts: PathFact, after_days: float, log_path: LogPath = DECLARED) -> list[tuple[str, str, int]]:
    """Status, severity and day of what is told of deadlines."""
    alerts = told(*facts, as_of_us=at_us(0) + int(after_days * DAY_US), log_path=log_path)
    found = [each for each in alerts if each.kind == "trail.time_bomb"]
    return [(each.status.value, each.severity.label, (each.detected_us - at_us(0)) // DAY_US) for each in found]


def test_deadline_is_told_as_it_nears() -> None:
    """High at first, critical a week and a day before it and at it, each once; by what time it is."""
    whole = [
        ("opened", "high", 0),
        ("updated", "critical", 23),
        ("updated", "critical", 29),
        ("updated", "critical", 30),
    ]
    assert [bombs(doomed(0, 30), after_days=days) for days in (1, 24, 29.5, 40)] == [whole[:at] for at in (1, 2, 3, 4)]
    assert bombs(doomed(0, 7), after_days=1) == [("opened", "critical", 0)]


def test_cancelled_deadline_is_never_told_again() -> None:
    """Resolved when the cancelling call is known; warnings that were due before that stay."""
    assert bombs(doomed(0, 30), CANCEL, after_days=40) == [("opened", "high", 0), ("resolved", "high", 2)]
    late = fact(Aspect.KEY_DELETION, 10, sound=True, resource=KEY, late=24 * 24 * 60)
    assert [status for status, _, _ in bombs(doomed(0, 30), late, after_days=40)] == ["opened", "updated", "resolved"]


def test_deadline_that_moves() -> None:
    """The same incident, told again, by the new deadline."""
    again = doomed(60, 40)
    found = bombs(doomed(0, 30), again, after_days=32)
    assert found == [("opened", "high", 0), ("updated", "high", 0)]
    assert len({each.incident_id for each in told(doomed(0, 30), again)}) == 1


def test_deadline_elsewhere_is_no_matter() -> None:
    """Until the key proves to be on the path, and then at once."""
    assert bombs(doomed(0, 30), after_days=40, log_path=LogPath()) == []
    link = fact(Aspect.LINK, 5 * 24 * 60, sound=True, links=(KEY,))
    found = bombs(doomed(0, 30), link, after_days=6, log_path=LogPath())
    assert found == [("opened", "high", 5)]


ASPECTS = (Aspect.LOGGING, Aspect.MANAGEMENT_SELECTORS, Aspect.DATA_SELECTORS, Aspect.KEY_DELETION, Aspect.OTHER)
FACTS = st.lists(
    st.builds(
        lambda aspect, minute, sound, late, days: fact(
            aspect, minute, sound=sound, late=late,
            deadline_us=at_us(minute) + days * DAY_US if aspect is Aspect.KEY_DELETION and not sound else None,
            value="selected" if aspect is Aspect.DATA_SELECTORS and sound else None,
        ),
        st.sampled_from(ASPECTS), st.integers(0, 20), st.booleans(), st.integers(0, 20), st.integers(1, 9),
    ),
    max_size=12,
    unique_by=lambda each: each.identity,
)  # fmt: skip


@given(facts=FACTS, random=st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(facts: list[PathFact], random: Any) -> None:
    """The same facts, shuffled and some of them twice, tell the same."""
    again = [*facts, *random.sample(facts, len(facts) // 2)]
    random.shuffle(again)
    as_of_us = at_us(0) + 5 * DAY_US
    assert tell(again, DECLARED, as_of_us) == tell(facts, DECLARED, as_of_us)


@given(facts=FACTS, cuts=st.lists(st.integers(0, 60 * 24 * 9), max_size=4))
def test_many_small_runs_say_what_one_says(facts: list[PathFact], cuts: list[int]) -> None:
    """Who hears of facts as they are delivered, and judges now and then, has told the same in the end."""
    end_us = at_us(0) + 10 * DAY_US
    known, piecemeal = KnownPath(DECLARED, ()), {}
    for as_of_us in (*sorted(map(at_us, cuts)), end_us):
        known.learn(each for each in facts if each.delivered_us <= as_of_us)
        for alert in known.tell(as_of_us):
            piecemeal.setdefault(alert.alert_id, alert)
    assert piecemeal == {each.alert_id: each for each in tell(facts, DECLARED, end_us).alerts}


def test_nobody_waits_for_what_is_cancelled() -> None:
    """The next time that something is due is that of the next warning, if there is one."""
    first_us = doomed(0, 30).event_us + 23 * DAY_US
    assert tell([doomed(0, 30)], DECLARED, at_us(60)).due_us == first_us
    assert tell([doomed(0, 30), CANCEL], DECLARED, at_us(5000)).due_us is None
