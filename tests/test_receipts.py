"""Receipts beside verdicts: never called, called and not logged, and logged are three answers."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from canary_worlds import CANARY, FIRST, PERIOD_US, PLACE, START_US, World, alive, empty_lake, run, sighting

from pipeline import receipt_folder
from pipeline.emit_receipts import Receipts
from pipeline.local_storage import LocalStorage
from pipeline.receipt_folder import ReceiptFolder
from schemas.alerts import Alert, Severity, Status
from schemas.canaries import Canary, Place
from schemas.errors import StorageError
from schemas.receipts import Outcome, Receipt, receipt_line, receipt_of
from schemas.times import DAY_US, HOUR_US, MINUTE_US
from transforms.incidents import track

OTHER = Place(PLACE.canary, "444455556666", PLACE.region)


def receipt(index: int, outcome: Outcome = Outcome.REFUSED, place: Place = PLACE, code: str = "Code") -> Receipt:
    """Of a call a minute into the slot at `index` after the start."""
    slot = FIRST + index
    return Receipt(place, slot, slot * PERIOD_US + MINUTE_US, "ec2:RunInstances", outcome, code, f"request-{index}")


class Kept(msgspec.Struct, frozen=True):
    """Receipts that a test knows; None for a store that fails."""

    receipts: tuple[Receipt, ...] | None = ()

    def of(self, place: Place, start_us: int, end_us: int) -> tuple[Receipt, ...]:
        """Those of that place and time."""
        if self.receipts is None:
            raise StorageError("s3://receipts", "AccessDenied")
        return tuple(each for each in self.receipts if each.place == place and start_us <= each.at_us < end_us)


def with_receipts(*receipts: Receipt) -> Canary:
    """The canary of these worlds, and its emitter's receipts."""
    return msgspec.structs.replace(CANARY, receipts=Kept(receipts))


def judged(world: World, canary: Canary, *hours: float) -> list[Alert]:
    """Alerts of one run, or of one after the other, at these hours after the start."""
    lake = empty_lake()
    for hour in hours:
        run(world, lake, START_US + int(hour * HOUR_US), canary=canary)
    return sorted(lake.alerts.values(), key=lambda alert: (alert.detected_us, alert.status.value))


SILENT = World(tuple(sighting(index, START_US + (5 * index + 6) * MINUTE_US) for index in range(3)), alive(range(300)))
MADE = "; a call was refused at 2026-11-01T00:16:00Z (request request-3), and is not in the log"


def test_called_and_not_logged() -> None:
    """The trail is blind: critical, with the receipt."""
    (alert,) = judged(SILENT, with_receipts(receipt(3), receipt(3, place=OTHER)), 2)
    assert (alert.kind, alert.severity) == ("canary.missing", Severity.CRITICAL)
    assert alert.title.endswith(f"others deliver, this does not{MADE}")


@pytest.mark.parametrize(
    ("receipts", "why"),
    [
        ((), "was never made: there is no receipt"),
        ((receipt(3, place=OTHER), receipt(2)), "was never made: there is no receipt"),
        ((receipt(3, Outcome.FAILED, code="ReadTimeoutError\x1b[2J"),), "failed (ReadTimeoutError[2J)"),
    ],
)
def test_never_called(receipts: tuple[Receipt, ...], why: str) -> None:
    """The emitter is to blame, one step less severe."""
    (alert,) = judged(SILENT, with_receipts(*receipts), 2)
    assert (alert.kind, alert.severity) == ("canary.missing", Severity.HIGH)
    assert alert.title.endswith(f"others deliver, this does not; the call {why}: look at the emitter first")


def test_not_refused() -> None:
    """A receipt of a call that was allowed is one of a call that was made."""
    (alert,) = judged(SILENT, with_receipts(receipt(3, Outcome.ALLOWED)), 2)
    assert "a call was NOT refused at" in alert.title


@pytest.mark.parametrize("canary", [CANARY, msgspec.structs.replace(CANARY, receipts=Kept(None))])
def test_without_receipts_nothing_changes(canary: Canary) -> None:
    """Nor where they cannot be read: the alert matters more."""
    (alert,) = judged(SILENT, canary, 2)
    assert (alert.severity, alert.title[-13:]) == (Severity.CRITICAL, "this does not")


@pytest.mark.parametrize("hours", [(2,), (0.5, 0.6, 0.7, 2), (0.6, 1.2, 2), (1, 2, 3)])
def test_a_silence_of_the_emitter_that_becomes_one_of_the_log(hours: tuple[float, ...]) -> None:
    """Told once, as soon as a call was made and is not in the log, however the runs fall."""
    opened, further = judged(SILENT, with_receipts(*map(receipt, range(8, 30))), *hours)
    assert (opened.status, opened.severity) == (Status.OPENED, Severity.HIGH)
    assert (further.status, further.severity) == (Status.UPDATED, Severity.CRITICAL)
    assert further.incident_id == opened.incident_id
    assert (
        "a call was refused at 2026-11-01T00:41:00Z (request request-8), and is not in the log either" in further.title
    )
    assert further.detected_us == CANARY.deadline_us(FIRST + 8)


def test_logged_resolves_as_ever() -> None:
    """The third answer."""
    heard = tuple(sighting(index, START_US + (5 * index + 6) * MINUTE_US) for index in range(24) if index not in (3, 4))
    alerts = judged(World(heard, SILENT.pulses), with_receipts(), 2)
    assert [(alert.status, alert.severity) for alert in alerts] == [
        (Status.OPENED, Severity.HIGH),
        (Status.RESOLVED, Severity.CRITICAL),
    ]


def test_doubt_asks_no_receipts() -> None:
    """`canary.unsure` is about us."""
    nothing = World(SILENT.sightings, alive(range(20)))
    alerts = judged(nothing, with_receipts(), 4)
    assert {alert.severity for alert in alerts if alert.kind == "canary.unsure"} == {Severity.HIGH}
    assert not [alert for alert in alerts if alert.kind == "canary.unsure" and "emitter" in alert.title]


def test_a_long_silence_looks_at_few_slots() -> None:
    """Of ten thousand missing slots the last 300."""
    asked: list[int] = []

    class Counting(msgspec.Struct, frozen=True):
        def of(self, _place: Place, start_us: int, _end_us: int) -> tuple[Receipt, ...]:
            """Never anything."""
            asked.append(start_us)
            return ()

    lake = empty_lake()
    canary = msgspec.structs.replace(CANARY, receipts=Counting())
    verdicts = run(World((), alive(range(0, 40 * 24 * 60, 10))), lake, START_US + 36 * DAY_US, canary=canary)
    assert sum(each.last - each.first + 1 for each in verdicts) > 10_000
    assert len(asked) < 500 * len(verdicts)
    assert list(track(canary, [], [])) == []


# In files ---------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def forget() -> None:
    """Nothing is kept from another test."""
    receipt_folder._paths.cache_clear()
    receipt_folder._receipts.cache_clear()


def test_what_an_emitter_writes_is_found(tmp_path: Path) -> None:
    """By place and time, over midnight and in files of several emitters, ten minutes after they were begun."""
    end = DAY_US // PERIOD_US
    for indexes in ((0, 1), (2,), (end - 1, end, end + 1), (end + 1,)):
        kept = Receipts(LocalStorage(str(tmp_path)), [CANARY])
        for index in indexes:
            kept.add(receipt(index))
            kept.add(receipt(index, place=OTHER))
        kept.flush()
    folder = ReceiptFolder(str(tmp_path))

    def found(index: int, place: Place = PLACE) -> list[Receipt]:
        start_us = CANARY.slot_start_us(FIRST + index)
        return list(folder.of(place, start_us, start_us + PERIOD_US))

    assert found(0) == [receipt(0)]
    assert found(1, OTHER) == [receipt(1, place=OTHER)]
    assert found(end) == [receipt(end)]
    assert found(end + 1) == [receipt(end + 1)] * 2
    assert found(3) == []
    assert found(1, Place("other", "1", "x")) == []
    assert folder.of(PLACE, START_US - DAY_US, START_US - HOUR_US) == ()


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"nonsense", b"[1]", b"\xff", b'{"at":"x"}', b"[" * 5000],
)
def test_what_is_no_receipt_is_passed_over(tmp_path: Path, line: bytes) -> None:
    """Whoever can write there can write anything."""
    good = receipt_line(receipt(0), PERIOD_US)
    broken = good.replace(b'"at":"2026-11-01T00:01:00Z"', b'"at":"soon"').strip()
    path = tmp_path / "2026-11-01" / "20261101T000100Z-ab-0.jsonl"
    path.parent.mkdir()
    path.write_bytes(b"\n".join((line, broken, good, line)))
    (path.parent / "notes.jsonl").write_bytes(good)
    assert ReceiptFolder(str(tmp_path)).of(PLACE, START_US, START_US + PERIOD_US) == (receipt(0),)
    assert receipt_of(line) is None


def test_a_line_comes_back() -> None:
    """As it was."""
    for made in (
        receipt(0),
        receipt(1, Outcome.FAILED),
        Receipt(PLACE, FIRST, START_US, "s3:CreateBucket", Outcome.ALLOWED),
    ):
        assert receipt_of(receipt_line(made, PERIOD_US)) == made
