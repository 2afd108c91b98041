"""N of M misses before an incident opens: which slots count, and that the splitting into runs does not matter."""

from __future__ import annotations

import msgspec
import pytest
from canary_worlds import (
    CANARY,
    FIRST,
    PERIOD_US,
    PLACE,
    START_US,
    World,
    empty_lake,
    offsets,
    run,
    verdict_of_each_slot,
    worlds,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert, Status
from schemas.canaries import Canary, OpenAfter, Place, SlotVerdict, Verdict
from schemas.maintenance import Maintenance
from schemas.receipts import Outcome, Receipt
from schemas.times import DAY_US, MINUTE_US
from transforms.canary_stories import Misses, Untold
from transforms.expected import Judged
from transforms.incidents import Telling, track
from transforms.judged_slots import Heard, JudgedSlots
from transforms.raised_alerts import RaisedAlerts
from transforms.untold import untold

MISSING, UNSURE, SEEN = Verdict.MISSING, Verdict.UNSURE, Verdict.SEEN
LETTERS = {"M": MISSING, "U": UNSURE, "S": SEEN}


def patient(misses: int, slots: int) -> Canary:
    """The canary, with an incident after so many misses of so many slots."""
    return msgspec.structs.replace(CANARY, open_after=OpenAfter(misses, slots))


def story(letters: str, first: int = 0) -> list[SlotVerdict]:
    """A slot each: missing, unsure or seen."""
    slots = enumerate(letters, FIRST + first)
    return [SlotVerdict(PLACE, slot, slot, LETTERS[letter]) for slot, letter in slots]


def late(index: int, delivered_us: int) -> SlotVerdict:
    """A slot that was missing at its deadline and came then."""
    (missing,) = story("M", index)
    return msgspec.structs.replace(missing, verdict=Verdict.LATE, delivered_us=delivered_us, at_deadline=missing)


def deadline_us(index: int) -> int:
    """The deadline of a slot, counted from the start."""
    return CANARY.deadline_us(FIRST + index)


def told(canary: Canary, verdicts: list[SlotVerdict]) -> list[tuple[str, str, int, int]]:
    """Kind, status, and the slots that each alert is about and that was due when it was told."""
    return sorted(
        (
            alert.kind.removeprefix("canary."),
            alert.status.value,
            (alert.window_start_us - START_US) // PERIOD_US,
            canary.last_slot_due(alert.detected_us) - FIRST,
        )
        for alert in track(canary, verdicts, [])
    )


@pytest.mark.parametrize(
    ("rule", "letters", "expected"),
    [
        ((2, 3), "SMSSMS", []),
        ((2, 3), "SMSMM", [("missing", "opened", 1, 3)]),
        ((2, 3), "MMMM", [("missing", "opened", 0, 1)]),
        ((3, 3), "MMSMMM", [("missing", "opened", 3, 5)]),
        ((2, 2), "MSMSMS", []),
        ((1, 5), "SSM", [("missing", "opened", 2, 2)]),
        ((2, 3), "MMSM", [("missing", "opened", 0, 1), ("missing", "resolved", 0, 2)]),  # each slot counts but once
        ((2, 3), "UU", [("unsure", "opened", 0, 1)]),
        ((2, 2), "UM", [("missing", "opened", 1, 1)]),  # nobody hides silence between doubts
        ((2, 2), "MUMU", [("missing", "opened", 2, 2), ("unsure", "opened", 1, 1)]),
    ],
)
def test_incident_opens_at_the_last_of_as_many_misses_as_it_takes(
    rule: tuple[int, int], letters: str, expected: list[tuple[str, str, int, int]]
) -> None:
    """At the deadline of the Nth absent slot among the last M, since the first that was absent in that way."""
    assert told(patient(*rule), story(letters)) == expected


def test_alert_says_how_many_slots_and_keeps_its_window() -> None:
    """The window runs from the first absent slot to the end of the one that was one too many."""
    (alert,) = track(patient(2, 3), story("MSM"), [])
    assert alert.title.endswith("others deliver, this does not (2 of 3 slots)")
    assert (alert.window_start_us, alert.window_end_us) == (START_US, START_US + 3 * PERIOD_US)
    assert alert.detected_us == deadline_us(2)


@pytest.mark.parametrize(
    ("delivered_us", "opens"), [(deadline_us(1), 1), (deadline_us(1) - 1, 2), (deadline_us(0) + 1, 2)]
)
def test_slot_that_came_late_by_then_does_not_count(delivered_us: int, opens: int) -> None:
    """What has arrived is not absent any more; at the deadline itself it is."""
    verdicts = [late(0, delivered_us), *story("MM", 1)]
    assert told(patient(2, 3), verdicts)[0] == ("missing", "opened", opens - 1, opens)


def test_late_arrivals_of_all_slots_resolve_what_they_opened() -> None:
    """As with one slot: the incident waits for each of them."""
    verdicts = [late(0, deadline_us(3)), late(1, deadline_us(3) + 1)]
    statuses = [alert.status for alert in track(patient(2, 2), verdicts, [])]
    assert statuses == [Status.OPENED, Status.RESOLVED]


def corrected(*verdicts: SlotVerdict) -> list[SlotVerdict]:
    """What an earlier run had called missing."""
    return [msgspec.structs.replace(each, prior=MISSING, at_deadline=None) for each in verdicts]


def test_correction_takes_back_what_opened_and_what_might_have() -> None:
    """A slot that was delivered in time counts no more."""
    telling = Telling(patient(2, 2), [])
    assert list(telling.go_on(story("M"))) == []
    assert list(telling.go_on(corrected(*story("S")))) == []
    assert list(telling.go_on(story("M", 1))) == []
    (opened,) = telling.go_on(story("M", 2))
    (retracted,) = telling.go_on(corrected(*story("SS", 1)))
    assert (retracted.status, retracted.incident_id) == (Status.RETRACTED, opened.incident_id)


def test_no_alert_of_an_incident_comes_before_it_was_opened() -> None:
    """Also where a correction is about a slot whose deadline lies before that."""
    telling = Telling(patient(3, 3), [])
    (opened,) = telling.go_on(story("MMM"))
    assert list(telling.go_on(corrected(late(2, deadline_us(3))))) == []
    (resolved,) = telling.go_on(corrected(*story("S", 1)))
    assert (resolved.status, resolved.detected_us) == (Status.RESOLVED, opened.detected_us)


def left_by(letters: str, canary: Canary, alerts: list[Alert]) -> list[Untold]:
    """What a lake says after so many slots."""
    unseen = tuple((slot, slot, LETTERS[letter]) for slot, letter in enumerate(letters, FIRST) if letter in "MU")
    through_us = START_US + len(letters) * PERIOD_US
    return untold([canary], alerts, [Judged(PLACE, PERIOD_US, canary.grace_us, through_us, START_US, unseen)])


@pytest.mark.parametrize("letters", ["M", "MS", "MSS", "MMS", "MMSM", "UMS", "MUMSU", "MMSUS", "SSSS"])
def test_lake_says_what_was_left_in_memory(letters: str) -> None:
    """Whoever goes on with the lake knows what whoever stopped knew."""
    canary = patient(2, 3)
    telling = Telling(canary, [])
    alerts = list(telling.go_on(story(letters)))
    assert sorted(telling.left(), key=repr) == sorted(left_by(letters, canary, alerts), key=repr)


def test_slots_of_another_period_do_not_count() -> None:
    """Slots are counted, and a changed period has other ones; a changed grace has not."""
    canary = patient(2, 3)
    assert left_by("M", canary, []) == [
        Misses("canary.missing", PLACE, ((START_US, START_US + PERIOD_US),)),
        Misses("canary.unsure", PLACE, (), ((START_US, START_US + PERIOD_US),)),
    ]
    assert left_by("M", msgspec.structs.replace(canary, period_us=MINUTE_US), []) == []
    assert left_by("M", msgspec.structs.replace(canary, open_after=OpenAfter()), []) == []


class Receipts(msgspec.Struct, frozen=True):
    """Calls of some slots."""

    made: tuple[int, ...]

    def of(self, place: Place, start_us: int, end_us: int) -> tuple[Receipt, ...]:
        """Those of the slot that begins then."""
        receipt = Receipt(place, FIRST, end_us - 1, "ec2:RunInstances", Outcome.REFUSED)
        return (receipt,) if (start_us - START_US) // PERIOD_US in self.made else ()


@pytest.mark.parametrize(("made", "severity"), [((0,), "critical"), ((1,), "critical"), ((2,), "high"), ((), "high")])
def test_any_call_that_was_made_blames_the_trail(made: tuple[int, ...], severity: str) -> None:
    """The emitter is to blame only where none of the slots has a receipt."""
    canary = msgspec.structs.replace(patient(2, 2), receipts=Receipts(made))
    (alert,) = track(canary, story("MM"), [])
    assert alert.severity.label == severity


@st.composite
def rules(draw: st.DrawFn) -> OpenAfter:
    """N of M."""
    slots = draw(st.integers(1, 5))
    return OpenAfter(draw(st.integers(1, slots)), slots)


@settings(max_examples=300, deadline=None)
@given(
    worlds(),
    rules(),
    st.lists(st.integers(0, 300 * 60).map(lambda seconds: START_US + seconds * 1_000_000), max_size=8),
    st.sampled_from([20, 45, 1440]),
    st.sampled_from([7, 30, 1440]),
)
def test_splitting_into_runs_changes_nothing(
    world: World, rule: OpenAfter, cuts: list[int], lateness: int, window: int
) -> None:
    """Any runs in between give the same verdict for each slot and the same alerts as one run at the end."""
    canary = msgspec.structs.replace(CANARY, open_after=rule)
    end_us, lateness_us = START_US + DAY_US // 2, lateness * MINUTE_US
    once, often = empty_lake(), empty_lake()
    run(world, once, end_us, canary=canary, lateness_us=lateness_us)
    for as_of_us in [*sorted(cuts), end_us]:
        run(world, often, as_of_us, canary=canary, lateness_us=lateness_us, window_us=window * MINUTE_US)
    assert verdict_of_each_slot(often) == verdict_of_each_slot(once)
    assert often.alerts == once.alerts


def watched(world: World, canary: Canary, times_us: list[int], lateness_us: int) -> dict[str, Alert]:
    """What one process says that judges at these times, and keeps what may matter in memory."""
    slots, raised = JudgedSlots([canary], lateness_us, DAY_US), RaisedAlerts(b"any secret")
    told: dict[str, Alert] = {}
    before_us = 0
    for as_of_us in times_us:
        pulses = tuple(each for each in world.pulses if before_us < each.delivered_us <= as_of_us)
        sightings = tuple(each for each in world.sightings if before_us < each.delivered_us <= as_of_us)
        delivered = [each.delivered_us for each in pulses]
        slots.hear(Heard(sightings, pulses, (min(delivered), max(delivered)) if delivered else None))
        _, verdicts, alerts = slots.judge(as_of_us, raised.of_canaries())
        raised.add(raised.fresh(alerts))
        slots.settle(verdicts, as_of_us, raised.of_canaries())
        told |= {alert.alert_id: alert for alert in alerts}
        before_us = as_of_us
    return told


@settings(max_examples=200, deadline=None)
@given(
    worlds(),
    rules(),
    st.none() | offsets(100),
    st.lists(offsets(300), max_size=12, unique=True),
    st.sampled_from([20, 1440]),
)
def test_process_that_goes_on_says_what_a_run_says(
    world: World, rule: OpenAfter, quiet_us: int | None, cuts: list[int], lateness: int
) -> None:
    """It keeps what may still count, also of incidents that maintenance keeps quiet."""
    windows = () if quiet_us is None else (Maintenance("move", quiet_us, quiet_us + 30 * MINUTE_US),)
    canary = msgspec.structs.replace(CANARY, open_after=rule, maintenance=windows)
    end_us, lake = START_US + DAY_US // 2, empty_lake()
    run(world, lake, end_us, canary=canary, lateness_us=lateness * MINUTE_US)
    assert watched(world, canary, [*sorted(cuts), end_us], lateness * MINUTE_US) == lake.alerts


@settings(max_examples=300, deadline=None)
@given(st.text("MUS", max_size=30), rules())
def test_opened_where_a_slow_count_says_so(letters: str, rule: OpenAfter) -> None:
    """Against a count of every slot, with nothing late: open, and closed by the next that is seen."""
    expected, opened, from_ = [], False, 0
    for index, letter in enumerate(letters):
        last = range(max(from_, index - rule.slots + 1), index + 1)
        if letter == "M" and not opened and sum(letters[each] != "S" for each in last) >= rule.misses:
            first = next(each for each in last if letters[each] == "M")
            opened = True
            expected.append(("missing", "opened", first, index))
        elif letter == "S" and opened:
            opened, from_ = False, index
            expected.append(("missing", "resolved", expected[-1][2], index))
    found = told(msgspec.structs.replace(CANARY, open_after=rule), story(letters))
    assert [each for each in found if each[0] == "missing"] == sorted(expected)
