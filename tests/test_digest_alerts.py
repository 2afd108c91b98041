"""Incidents of digests: what opens one, how it goes on, what ends it; and that looks in between change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from digest_buckets import LISTED_AFTER_US
from digest_worlds import ROOT, Stored, hour_us, log_at, log_object, public_key, run_of, stored

from pipeline.digest_books import read_books
from pipeline.local_storage import LocalStorage
from pipeline.run import open_all
from schemas.alerts import Alert, Severity, Status
from schemas.dead_letters import Reason
from schemas.digest_proofs import LogObject, Patience, Place, Sight
from schemas.digests import Digest, PublicKey
from schemas.errors import LakeDamaged, UsageError
from schemas.settings import Clock, Config, DigestConfig, Settings
from schemas.sight import FOLDER, SIGHT_SCHEMA
from transforms.digest_alerts import still_open
from transforms.digest_book import DigestBook
from transforms.digest_judge import DigestCheck, DigestJudge
from transforms.sight_file import decode_sight
from transforms.small_parquet import parquet_bytes

PLACE = ("111122223333", "eu-west-1")
LOGS = [log_at(hour + part) for hour in range(12) for part in (0.25, 0.75)]
CHAIN = run_of(12, LOGS)


class Desk:
    """Looks at one place, one after the other, with a lake of its own."""

    def __init__(self, lake: Path, keys: Sequence[PublicKey] | None = None) -> None:
        self.lake = LocalStorage(str(lake))
        self.keys = list(keys if keys is not None else [public_key()])
        places = (Place(ROOT),)
        check = DigestCheck(
            self.lake, places, Patience(), lambda: self.keys, lambda wanted: read_books(self.lake, places, wanted)
        )
        self.judge = DigestJudge(check)
        self.book = DigestBook(PLACE)
        self.told: dict[str, Alert] = {}
        self.opened: tuple[Alert, ...] = ()
        self.due_us: int | None = None

    def look(self, hour: float, digests: Iterable[Digest] = (), objects: Iterable[LogObject] = ()) -> list[Alert]:
        """What is told for the first time."""
        self.book = self.book.add(digests, objects)
        verdict = self.judge.judge(self.book, self.opened, hour_us(hour))
        fresh = [alert for alert in verdict.alerts if alert.alert_id not in self.told]
        self.book, self.due_us = verdict.book, verdict.due_us
        self.opened = still_open(self.opened, verdict.alerts)
        self.told |= {alert.alert_id: alert for alert in fresh}
        return fresh


def come(each: Stored, late_us: int = LISTED_AFTER_US) -> Digest:
    """A digest, as it is delivered a little after its hour."""
    digest = each.digest
    end_us = digest.end_us
    return msgspec.structs.replace(digest, modified_us=end_us + late_us)


def everything(*, but: Iterable[int] = ()) -> tuple[list[Digest], list[LogObject]]:
    """Digests of the chain but for some, and all logs."""
    left = set(but)
    return [come(each) for number, each in enumerate(CHAIN) if number not in left], [log_object(log) for log in LOGS]


def told(alerts: Iterable[Alert]) -> list[tuple[str, str, str]]:
    """Kinds, transitions and severities."""
    return [(alert.kind, alert.status.value, alert.severity.label) for alert in alerts]


def test_a_clean_chain_is_silent_and_proved(tmp_path: Path) -> None:
    """Nothing is told of it, and the lake says that its time is proved up to the last digest."""
    desk = Desk(tmp_path)
    assert desk.look(12.5, *everything()) == []
    (stat,) = desk.lake.list(FOLDER)
    _, kept = decode_sight(desk.lake, stat.path, desk.lake.read(stat.path).body)
    (span,) = kept.open_spans
    assert (span.start_us, span.end_us, span.sight, span.cause) == (hour_us(0), hour_us(12), Sight.PROVED, None)
    assert desk.due_us == hour_us(12 + 1 + 4)


def test_missing_hours_are_one_incident_that_counts(tmp_path: Path) -> None:
    """The newest digests do not come: told at the first deadline, and again when twice as many are missing."""
    desk = Desk(tmp_path)
    digests, objects = everything()
    assert desk.look(12.5, digests, objects) == []
    assert desk.look(16.9) == []
    (opened,) = desk.look(17)
    assert told([opened]) == [("digest.missing", "opened", "high")]
    assert (opened.detected_us, opened.window_start_us) == (hour_us(17), hour_us(12))
    assert desk.due_us == hour_us(18)
    (second,) = desk.look(18.5)
    assert (second.status, second.incident_id) == (Status.UPDATED, opened.incident_id)
    assert desk.due_us == hour_us(20)
    (fourth,) = desk.look(20)
    assert fourth.title.startswith("4 hourly digests of trail audit in eu-west-1 are missing")
    assert fourth.detected_us == hour_us(20)


def test_late_digests_end_the_incident(tmp_path: Path) -> None:
    """When they came is when it ended; the hours that are still missing are one that begins later."""
    desk, later = Desk(tmp_path), run_of(15, LOGS)[12:]
    desk.look(18.5, *everything())
    (ended,) = desk.look(19.9, [come(each, 30 * LISTED_AFTER_US) for each in later])
    assert told([ended]) == [("digest.missing", "resolved", "high")]
    assert ended.detected_us == hour_us(14) + 30 * LISTED_AFTER_US
    assert desk.opened == ()


@pytest.mark.parametrize("looks", [(), (5.5, 6.5, 7.5), (6.2, 8, 9.1, 9.9), tuple(4 + each / 4 for each in range(50))])
def test_looks_in_between_tell_the_same(tmp_path: Path, looks: tuple[float, ...]) -> None:
    """A hole of several hours is one incident, told alike by who looks once and by who sees each digest come."""
    digests, objects = everything(but=(3, 4, 5, 6, 7))
    once, often = Desk(tmp_path / "once"), Desk(tmp_path / "often")
    once.look(16.5, digests, objects)
    for hour in (*looks, 16.5):
        there = [each for each in digests if each.modified_us <= hour_us(hour)]
        often.look(hour, there, [each for each in objects if each.delivered_us <= hour_us(hour)])
    assert [(each.kind, each.status) for each in once.told.values()] == [
        ("digest.missing", Status.OPENED),
        ("digest.missing", Status.UPDATED),
        ("digest.missing", Status.UPDATED),
    ]
    assert often.told.keys() == once.told.keys()
    assert {each.detected_us for each in often.told.values()} == {each.detected_us for each in once.told.values()}


def test_a_removed_log_is_told_and_taken_back(tmp_path: Path) -> None:
    """Logs of one digest that are not there are one incident; one that comes late after all takes it back."""
    desk = Desk(tmp_path)
    digests, objects = everything()
    gone = objects[4:6]
    (removed,) = desk.look(12.5, digests, [each for each in objects if each not in gone])
    assert told([removed]) == [("digest.log_removed", "opened", "critical")]
    assert removed.evidence.object_keys == tuple(each.uri for each in gone)
    assert removed.detected_us == hour_us(3 + 4)
    assert desk.look(13, (), gone[:1]) == []
    (back,) = desk.look(13, (), gone[1:])
    assert told([back]) == [("digest.log_removed", "retracted", "critical")]


def test_altered_and_planted_logs_are_told(tmp_path: Path) -> None:
    """By what CloudTrail signed: another body, one that is no gzip, and one that nobody listed."""
    desk = Desk(tmp_path)
    digests, objects = everything()
    objects[2] = msgspec.structs.replace(objects[2], body_sha256="0" * 64)
    objects[6] = msgspec.structs.replace(objects[6], body_sha256=None, reason=Reason.SECOND_MEMBER)
    planted = log_object(log_at(5.5, "planted"))
    found = desk.look(12.5, digests, [*objects, planted])
    assert sorted(told(found)) == [
        ("digest.log_altered", "opened", "critical"),
        ("digest.log_altered", "opened", "critical"),
        ("digest.log_planted", "opened", "high"),
    ]
    assert {alert.resource for alert in found} == {objects[2].uri, objects[6].uri, planted.uri}


def test_a_forged_digest_is_one_incident(tmp_path: Path) -> None:
    """Edited, and so not what the next was signed after: the object is named once."""
    desk = Desk(tmp_path)
    digests, objects = everything()
    digests[5] = come(CHAIN[5].edited(logFiles=[]))
    (altered,) = desk.look(12.5, digests, objects)
    assert told([altered]) == [("digest.altered", "opened", "critical")]
    assert altered.resource == CHAIN[5].uri


def test_a_digest_signed_anew_with_an_unknown_key_is_two_incidents(tmp_path: Path) -> None:
    """Two faults of one object and one hour: who signed it is not known, and the next one was signed after another."""
    digests, objects = everything()
    forged = CHAIN[5].edited(logFiles=[], digestPublicKeyFingerprint="ab" * 16).signed(1)
    digests[5] = come(forged)
    found = Desk(tmp_path).look(12.5, digests, objects)
    assert sorted(told(found)) == [("digest.altered", "opened", "critical"), ("digest.unverified", "opened", "low")]
    assert {alert.resource for alert in found} == {forged.uri}


def test_a_chain_that_starts_anew_explains_what_was_missing(tmp_path: Path) -> None:
    """Nobody covers the time between: told whenever it is looked at, and the missing digests are no longer awaited."""
    anew = stored(9, None, [])
    digests, objects = [*(come(each) for each in CHAIN[:3]), come(anew)], [log_object(log) for log in LOGS[:6]]
    once, often = Desk(tmp_path / "once"), Desk(tmp_path / "often")
    once.look(9.5, digests, objects)
    for hour in (3.5, 8, 8.9, 9.5):
        often.look(hour, [each for each in digests if each.modified_us <= hour_us(hour)], objects)
    assert sorted(told(once.told.values())) == [
        ("digest.missing", "opened", "high"),
        ("digest.missing", "resolved", "high"),
        ("digest.missing", "updated", "high"),
        ("digest.restarted", "opened", "medium"),
    ]
    assert often.told.keys() == once.told.keys()
    assert [alert.kind for alert in once.opened] == ["digest.restarted"]


def test_without_its_key_a_chain_is_unverified_once(tmp_path: Path) -> None:
    """One incident for the whole chain, of low severity, which ends as soon as the key is there."""
    desk = Desk(tmp_path, [])
    (unverified,) = desk.look(12.5, *everything())
    assert told([unverified]) == [("digest.unverified", "opened", "low")]
    assert unverified.severity is Severity.LOW
    desk.keys.append(public_key())
    (ended,) = desk.look(13)
    assert told([ended]) == [("digest.unverified", "resolved", "low")]


def test_what_is_settled_is_not_needed_again(tmp_path: Path) -> None:
    """After days the book is small, nothing that was told is taken back, and the lake goes on where the book does."""
    days = run_of(60, [])
    desk = Desk(tmp_path)
    gone = log_at(1.5)
    first = stored(1, None, [])
    listing = stored(2, first, [gone])
    chain = [first, listing]
    for end in range(3, 61):
        chain.append(stored(end, chain[-1], []))
    assert len(days) == len(chain)
    (removed,) = desk.look(60.5, [come(each) for each in chain])
    assert removed.kind == "digest.log_removed"
    chain += [stored(60 + 24 * 31, chain[-1], [], start=60)]
    assert desk.look(60 + 24 * 31 + 0.5, [come(chain[-1])]) == []
    (book,) = read_books(desk.lake, (Place(ROOT),))
    assert book.trees == desk.book.trees
    assert [alert.alert_id for alert in desk.opened] == [removed.alert_id]


def test_a_copy_has_one_origin(tmp_path: Path) -> None:
    """An origin is that of one input."""
    config = Config(digests=DigestConfig(original_location="s3://security-logs"))
    inputs = tuple(str(tmp_path / name) for name in ("a", "b"))
    with pytest.raises(UsageError, match="original_location"):
        open_all(Settings("run", inputs, str(tmp_path), Clock(0, None), config))


@pytest.mark.parametrize("body", [b"", b"no Parquet", parquet_bytes(SIGHT_SCHEMA.empty_table())])
def test_a_damaged_file_of_sight_is_named(tmp_path: Path, body: bytes) -> None:
    """Nothing is proved from what cannot be read."""
    lake = LocalStorage(str(tmp_path))
    lake.write("sight/x.parquet", body)
    with pytest.raises(LakeDamaged, match=r"sight/x\.parquet"):
        list(read_books(lake, (Place(ROOT),)))
