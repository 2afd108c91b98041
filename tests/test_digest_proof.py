"""Each rule about digests and logs: its fault, and beside it the near miss that is none."""

from __future__ import annotations

import gzip
from typing import Any

import msgspec
import pytest
from digest_worlds import (
    BUCKET,
    CHAIN,
    HOME,
    ROOT,
    Stored,
    faults,
    found,
    hour_us,
    log_at,
    log_object,
    only,
    proof_of,
    public_key,
    ref_of,
    run_of,
    stored,
)

from schemas.dead_letters import Reason
from schemas.digest_proofs import LogObject, Place, Proof, Sight
from schemas.digests import Digest, DigestFault, Previous
from transforms.digest_decode import unread_digest
from transforms.digest_signature import key_ring

LOGS = [log_at(hour / 2 + 0.1, f"log{hour}") for hour in range(16)]
RUN = run_of(8, LOGS)
OBJECTS = [log_object(log) for log in LOGS]
BACKFILL = msgspec.structs.replace(CHAIN, backfill=True)
OTHER = msgspec.structs.replace(CHAIN, trail="audit_" + HOME)


def digests_of(run: list[Stored]) -> list[Digest]:
    """The run as it is read."""
    return [each.digest for each in run]


def proof(run: list[Stored], objects: list[LogObject] = OBJECTS, as_of: float = 9, **changes: Any) -> Proof:
    """What follows from these digests, an hour after the last of the run."""
    return proof_of(digests_of(run), objects, as_of=as_of, **changes)


def with_digest(number: int, digest: Digest) -> list[Digest]:
    """The run with another digest in one place."""
    read = digests_of(RUN)
    read[number] = digest
    return read


def sights(result: Proof, hour: float) -> list[tuple[Sight, DigestFault | None]]:
    """What is known of a time, chain by chain."""
    return [(each.sight, each.cause) for each in result.spans if each.start_us <= hour_us(hour) < each.end_us]


def test_a_clean_run_is_proved() -> None:
    """Every digest signed, linked and contiguous, every log read: nothing is found, and all of its time is proved."""
    result = proof(RUN)
    assert result.findings == ()
    assert [(each.start_us, each.end_us, each.sight) for each in result.spans] == [
        (hour_us(0), hour_us(8), Sight.PROVED),
        (hour_us(8), hour_us(9), Sight.UNPROVED),
    ]
    assert result.spans[-1].cause is DigestFault.AWAITED


@pytest.mark.parametrize(
    ("change", "fault", "sight"),
    [
        (lambda digest: digest.edited(logFiles=[]), DigestFault.SIGNATURE_INVALID, Sight.LOST),
        (lambda digest: digest.signed(1), DigestFault.SIGNATURE_INVALID, Sight.LOST),
        (lambda digest: digest.edited(metadata={}), DigestFault.NO_SIGNATURE, Sight.UNPROVED),
        (lambda digest: digest.edited(logFiles=7), DigestFault.MALFORMED, Sight.LOST),
        (lambda digest: msgspec.structs.replace(RUN[2], path=digest.path), DigestFault.SWAPPED, Sight.LOST),
    ],
)
def test_an_edited_digest_counts_for_nothing(change: Any, fault: DigestFault, sight: Sight) -> None:
    """Its own hour is lost, or not proved where it may be our fault; its neighbours' hours stay proved."""
    result = proof_of(with_digest(4, change(RUN[4]).digest), OBJECTS, as_of=9)
    assert faults(result) == [(fault, RUN[4].uri)]
    assert sights(result, 3.5) == sights(result, 5.5) == [(Sight.PROVED, None)]
    assert sights(result, 4.5) == [(sight, fault)]


def test_a_digest_without_signature_is_no_attack() -> None:
    """Its body is the one that the next digest was signed after: only the metadata is lacking."""
    result = proof_of(with_digest(4, RUN[4].edited(metadata={}).digest), OBJECTS, as_of=9)
    assert RUN[4].edited(metadata={}).body == RUN[4].body
    assert found(result) == [DigestFault.NO_SIGNATURE]
    assert sights(result, 4.5) == [(Sight.UNPROVED, DigestFault.NO_SIGNATURE)]


def test_a_digest_signed_anew_with_an_unknown_key_is_found_by_the_next_one() -> None:
    """By itself it could be a key that was not fetched yet; but the next digest was signed after another one."""
    forged = RUN[4].edited(logFiles=[], digestPublicKeyFingerprint="ab" * 16).signed(1)
    result = proof_of(with_digest(4, forged.digest), OBJECTS, as_of=9)
    assert set(faults(result)) == {(DigestFault.KEY_UNKNOWN, forged.uri), (DigestFault.PREVIOUS_HASH, forged.uri)}
    assert sights(result, 4.5) == [(Sight.LOST, DigestFault.PREVIOUS_HASH)]


def test_unknown_keys_are_ours() -> None:
    """Without the region's key nothing is proved, and nothing is called an attack."""
    result = proof(RUN, ring=key_ring([public_key(1)]))
    assert set(found(result)) == {DigestFault.KEY_UNKNOWN}
    assert {each.sight for each in result.spans} == {Sight.UNPROVED}


@pytest.mark.parametrize(
    ("reason", "fault", "sight"),
    [
        (Reason.FORBIDDEN, DigestFault.FORBIDDEN, Sight.UNPROVED),
        (Reason.READ_FAILED, DigestFault.UNREAD, Sight.UNPROVED),
        (Reason.CORRUPT_GZIP, DigestFault.MALFORMED, Sight.LOST),
        (Reason.SECOND_MEMBER, DigestFault.SECOND_MEMBER, Sight.LOST),
    ],
)
def test_a_digest_that_cannot_be_read_is_there(reason: Reason, fault: DigestFault, sight: Sight) -> None:
    """It is not missing: it has a verdict of its own, and nothing else is found."""
    result = proof_of(with_digest(4, unread_digest(ref_of(RUN[4].path), reason, "")), OBJECTS, as_of=9)
    assert faults(result) == [(fault, RUN[4].uri)]
    assert sights(result, 4.5) == [(sight, fault)]


def test_a_second_member_is_refused() -> None:
    """The first member is the signed digest, and readers that go on see another one."""
    data = gzip.compress(RUN[4].body) + gzip.compress(b"{}")
    result = proof_of(with_digest(4, RUN[4].read(data)), OBJECTS, as_of=9)
    assert faults(result) == [(DigestFault.SECOND_MEMBER, RUN[4].uri)]


@pytest.mark.parametrize(("first", "last"), [(4, 5), (3, 5), (1, 7)])
def test_digests_removed_from_the_middle_are_counted(first: int, last: int) -> None:
    """One, two or all but the ends: each missing hour is counted, and lost."""
    result = proof(RUN[:first] + RUN[last:], as_of=16)
    removed = result.findings[0]
    assert (removed.fault, removed.uri, removed.digests) == (DigestFault.REMOVED, RUN[last - 1].uri, last - first)
    assert (removed.start_us, removed.end_us, removed.certain) == (hour_us(first), hour_us(last), True)
    assert sights(result, first + 0.5) == [(Sight.LOST, DigestFault.REMOVED)]


def test_a_digest_that_is_only_late_is_awaited() -> None:
    """They may come out of order: until the grace is over, the hole is not proved, and nothing is said."""
    result = proof(RUN[:6] + RUN[7:], as_of=10.9)
    assert found(result) == []
    assert sights(result, 6.5) == [(Sight.UNPROVED, DigestFault.AWAITED)]
    assert found(proof(RUN[:6] + RUN[7:], as_of=11)) == [DigestFault.REMOVED]


def test_the_oldest_digest_may_have_expired() -> None:
    """That it was there is certain; that somebody removed it is not."""
    finding = only(proof(RUN[1:], as_of=9))
    assert (finding.fault, finding.uri, finding.certain) == (DigestFault.FIRST_REMOVED, RUN[0].uri, False)
    assert found(proof(RUN[1:], as_of=9, since=1.5)) == []
    assert found(proof(RUN[1:], as_of=9, since=1)) == [DigestFault.FIRST_REMOVED]


@pytest.mark.parametrize(
    ("removed", "as_of", "missing"), [(0, 12.9, 0), (0, 13, 1), (1, 13, 2), (3, 12, 3), (3, 36, 27)]
)
def test_the_newest_digests_are_missed_by_the_clock(removed: int, as_of: float, missing: int) -> None:
    """An hourly digest is due four hours after its end; each hour is counted."""
    result = proof(RUN[: 8 - removed], as_of=as_of)
    heartbeats = [finding for finding in result.findings if finding.fault is DigestFault.MISSING]
    assert sum(finding.digests for finding in heartbeats) == missing
    for finding in heartbeats:
        assert (finding.start_us, finding.end_us) == (hour_us(8 - removed), hour_us(8 - removed + missing))
        assert (finding.deadline_us, finding.certain) == (hour_us(8 - removed + 5), False)
        assert finding.uri == (RUN[8 - removed].uri if removed else stored(9, None).uri)


def test_backfill_closes_an_hour_that_was_missing() -> None:
    """An hour that only a backfill digest covers did come."""
    assert found(proof(RUN, as_of=14)) == [DigestFault.MISSING]
    backfill = stored(9, None, chain=BACKFILL)
    finding = only(proof([*RUN, backfill], as_of=14))
    assert (finding.start_us, finding.digests) == (hour_us(9), 1)
    assert found(proof([*RUN, backfill], as_of=13)) == []


def test_backfill_does_not_stand_for_a_removed_digest() -> None:
    """A later digest names the one that is gone: that a backfill digest covers its hour changes nothing."""
    result = proof([*RUN[:4], *RUN[5:], stored(5, None, chain=BACKFILL)])
    assert found(result) == [DigestFault.REMOVED]


def test_a_doubtful_digest_is_no_silence() -> None:
    """The newest digest came, whatever is wrong with it."""
    result = proof_of([*digests_of(RUN[:7]), RUN[7].edited(logFiles=[]).digest], OBJECTS[:14], as_of=12.9)
    assert found(result) == [DigestFault.SIGNATURE_INVALID]


@pytest.mark.parametrize("later", [[], [RUN[7]]])
def test_a_doubtful_digest_after_a_late_one_does_not_make_it_missing(later: list[Stored]) -> None:
    """The hour before the doubtful one is due no sooner for it, whether or not digests follow; then it is missed."""
    read = [*digests_of(RUN[:5]), RUN[6].edited(logFiles=[]).digest, *digests_of(later)]
    result = proof_of(read, OBJECTS[:10] + OBJECTS[14:], as_of=9.9)
    assert found(result) == [DigestFault.SIGNATURE_INVALID]
    assert sights(result, 5.5) == [(Sight.UNPROVED, DigestFault.AWAITED)]
    result = proof_of(read, OBJECTS[:10] + OBJECTS[14:], as_of=10)
    assert faults(result) == [(DigestFault.MISSING, RUN[5].uri), (DigestFault.SIGNATURE_INVALID, RUN[6].uri)]
    assert sights(result, 5.5) == [(Sight.UNPROVED, DigestFault.MISSING)]


def test_the_digest_before_must_be_the_one_that_was_there() -> None:
    """A digest of CloudTrail's own in the same place, but not the one that the next was signed after."""
    other = stored(5, RUN[3], LOGS[8:10], newMember=1)
    result = proof_of(with_digest(4, other.digest), OBJECTS, as_of=9)
    assert faults(result) == [(DigestFault.PREVIOUS_HASH, RUN[4].uri)]
    assert sights(result, 4.5) == [(Sight.LOST, DigestFault.PREVIOUS_HASH)]
    assert sights(result, 5.5) == [(Sight.PROVED, None)]


def test_the_signature_before_counts_as_well() -> None:
    """The same body with another signature than the next digest names."""
    last = stored(3, RUN[1], LOGS[4:6], previousDigestSignature="ab" * 256)
    assert faults(proof([*RUN[:2], last], OBJECTS[:6], as_of=4)) == [(DigestFault.PREVIOUS_SIGNATURE, RUN[1].uri)]
    upper = stored(3, RUN[1], LOGS[4:6], previousDigestSignature=RUN[1].metadata["signature"].upper())
    assert faults(proof([*RUN[:2], upper], OBJECTS[:6], as_of=4)) == []


def test_a_gap_between_linked_digests_is_not_proved() -> None:
    """The next digest begins late, though it names the one before."""
    last = stored(4, RUN[1], start=2.5)
    result = proof([*RUN[:2], last], OBJECTS[:4], as_of=5)
    finding = only(result)
    assert (finding.fault, finding.start_us, finding.end_us) == (DigestFault.GAP, hour_us(2), hour_us(2.5))
    assert sights(result, 2.2) == [(Sight.UNPROVED, DigestFault.GAP)]
    assert found(proof([*RUN[:2], stored(4, RUN[1], start=2)], OBJECTS[:4], as_of=5)) == []


def test_an_overlap_is_found() -> None:
    """Two digests for one time."""
    last = stored(3, RUN[1], start=1.5)
    result = proof([*RUN[:2], last], OBJECTS[:4], as_of=4)
    assert faults(result) == [(DigestFault.OVERLAP, last.uri)]
    assert sights(result, 1.7) == [(Sight.PROVED, None)]


def test_a_digest_that_skips_another_is_unlinked() -> None:
    """It names one that is there, and there is one between."""
    last = stored(3, RUN[0])
    assert faults(proof([*RUN[:2], last], OBJECTS[:4], as_of=4)) == [(DigestFault.UNLINKED, last.uri)]


def test_a_restart_leaves_an_interval_to_nobody() -> None:
    """The chain begins anew: said as such, with the interval; the first digest of all is no restart."""
    again = run_of(2, chain=CHAIN, first=6)
    result = proof(RUN[:3] + again, OBJECTS[:6], as_of=8)
    finding = only(result)
    assert (finding.fault, finding.uri) == (DigestFault.RESTARTED, again[0].uri)
    assert (finding.start_us, finding.end_us) == (hour_us(3), hour_us(5))
    assert sights(result, 4) == [(Sight.UNPROVED, DigestFault.RESTARTED)]
    assert sights(result, 6.5) == [(Sight.PROVED, None)]


def test_a_chain_may_come_from_elsewhere() -> None:
    """UpdateTrail changed the bucket: the digest before lies in one that is no input."""
    moved = stored(5, RUN[3], LOGS[8:10], previousDigestS3Bucket="old-bucket")
    result = proof([*RUN[:3], moved], OBJECTS[:6] + OBJECTS[8:10], as_of=6)
    assert found(result) == []
    assert sights(result, 3.5) == [(Sight.UNPROVED, DigestFault.ELSEWHERE)]


def test_a_digest_elsewhere_is_compared_if_it_is_known() -> None:
    """The old bucket is an input too: what lies there must be what was named."""
    old = Place("s3://old-bucket")
    before = stored(4, None, digestS3Bucket="old-bucket")
    moved = stored(5, before, LOGS[8:10])
    for body, verdict in (
        (before, []),
        (stored(4, None, digestS3Bucket="old-bucket", x=1), [DigestFault.PREVIOUS_HASH]),
    ):
        read = [moved.digest, body.read(root=old.root)]
        assert found(proof_of(read, OBJECTS[8:10], as_of=6, places=[Place(ROOT), old])) == verdict


def test_trails_may_share_a_tree() -> None:
    """Also one whose name begins with the other's name and home region: chains stay apart, no logs are planted."""
    theirs = [log_at(hour + 0.7, f"their{hour}") for hour in range(8)]
    both = [*RUN, *run_of(8, theirs, chain=OTHER)]
    result = proof(both, [*OBJECTS, *(log_object(log) for log in theirs)], as_of=12.9)
    assert result.findings == ()
    assert len({each.chain for each in result.spans}) == 2


@pytest.mark.parametrize(
    ("changes", "fault", "sight"),
    [
        ({"body_sha256": "00" * 32}, DigestFault.LOG_ALTERED, Sight.LOST),
        ({"body_sha256": None, "reason": Reason.SECOND_MEMBER}, DigestFault.LOG_UNREADABLE, Sight.LOST),
        ({"body_sha256": None, "reason": Reason.TRUNCATED_GZIP}, DigestFault.LOG_UNREADABLE, Sight.LOST),
        ({"body_sha256": None, "reason": Reason.VANISHED}, DigestFault.LOG_MISSING, Sight.LOST),
        ({"body_sha256": None, "reason": Reason.FORBIDDEN}, DigestFault.LOG_UNREAD, Sight.UNPROVED),
        ({"body_sha256": None, "reason": Reason.TOO_LARGE}, DigestFault.LOG_UNREAD, Sight.UNPROVED),
        ({"body_sha256": None, "reason": None}, DigestFault.LOG_UNREAD, Sight.UNPROVED),
    ],
)
def test_a_listed_log_must_be_the_one_that_was_read(changes: dict[str, Any], fault: DigestFault, sight: Sight) -> None:
    """Its hour is lost, or not proved where it is we who could not read it."""
    objects = [*OBJECTS[:2], log_object(LOGS[2], **changes), *OBJECTS[3:]]
    result = proof(RUN, objects, as_of=12)
    assert faults(result) == [(fault, OBJECTS[2].uri)]
    assert sights(result, 1.5) == [(sight, fault)]
    assert sights(result, 2.5) == [(Sight.PROVED, None)]


def test_a_log_whose_records_are_dead_is_still_the_one_that_was_signed() -> None:
    """Its hash is right; that we cannot decode it is another matter."""
    assert found(proof(RUN, [log_object(LOGS[0], reason=Reason.NO_RECORDS), *OBJECTS[1:]])) == []


def test_an_overwritten_log_that_was_read_before_is_altered_and_not_lost() -> None:
    """What CloudTrail wrote is in the archive."""
    altered = log_object(LOGS[2], body_sha256="00" * 32)
    unreadable = log_object(LOGS[2], body_sha256=None, reason=Reason.SECOND_MEMBER)
    for version, fault in ((altered, DigestFault.LOG_ALTERED), (unreadable, DigestFault.LOG_UNREADABLE)):
        result = proof(RUN, [*OBJECTS, version])
        assert faults(result) == [(fault, OBJECTS[2].uri)]
        assert sights(result, 1.5) == [(Sight.PROVED, None)]
    refused = log_object(LOGS[2], body_sha256=None, reason=Reason.FORBIDDEN)
    assert found(proof(RUN, [*OBJECTS, refused])) == []


def test_a_removed_log_is_missed() -> None:
    """A digest lists it and it is not there; it may be read later than its digest, within the grace."""
    result = proof(RUN, OBJECTS[:-1], as_of=11.9)
    assert found(result) == []
    assert sights(result, 7.5) == [(Sight.UNPROVED, DigestFault.AWAITED)]
    result = proof(RUN, OBJECTS[:-1], as_of=12)
    assert faults(result) == [(DigestFault.LOG_MISSING, OBJECTS[-1].uri)]
    assert sights(result, 7.5) == [(Sight.LOST, DigestFault.LOG_MISSING)]


def test_a_planted_log_is_found_once_its_time_is_covered() -> None:
    """In no digest, though its hour and the next are covered and the grace is over; certain once backfill is over."""
    planted = log_object(log_at(4.2, "planted"))
    assert found(proof(RUN, [*OBJECTS, planted], as_of=9.1)) == []
    finding = only(proof(RUN, [*OBJECTS, planted], as_of=9.3))
    assert (finding.fault, finding.uri, finding.chain) == (DigestFault.LOG_PLANTED, planted.uri, None)
    assert not finding.certain
    later = proof([*RUN, *run_of(24, first=9)], [*OBJECTS, planted], as_of=32.9)
    assert [each.certain for each in later.findings if each.fault is DigestFault.LOG_PLANTED] == [True]


@pytest.mark.parametrize("hour", [7.3, 9.5, -0.5])
def test_a_log_whose_time_is_not_covered_is_not_planted(hour: float) -> None:
    """The hour after it has no digest yet, or it is older than the first that we know."""
    run = RUN if hour > 0 else RUN[1:]
    assert DigestFault.LOG_PLANTED not in found(proof(run, [*OBJECTS, log_object(log_at(hour, "x"))], as_of=12.9))


def test_a_log_before_its_trail_began_is_planted() -> None:
    """A second trail that begins later takes nothing from what the first one proves."""
    late = run_of(3, chain=OTHER, first=6)
    planted = log_object(log_at(1.2, "planted"))
    assert faults(proof([*RUN, *late], [*OBJECTS, planted])) == [(DigestFault.LOG_PLANTED, planted.uri)]


def test_a_log_beside_a_doubtful_digest_is_not_planted() -> None:
    """The digest that does not count may have listed it."""
    result = proof_of(with_digest(4, RUN[4].edited(metadata={}).digest), OBJECTS, as_of=12)
    assert found(result) == [DigestFault.NO_SIGNATURE]


def test_a_log_that_backfill_lists_is_not_planted() -> None:
    """It came after the digest of its hour."""
    late = log_at(2.2, "late")
    assert found(proof(RUN, [*OBJECTS, log_object(late)])) == [DigestFault.LOG_PLANTED]
    result = proof([*RUN, stored(3, None, [late], chain=BACKFILL)], [*OBJECTS, log_object(late)])
    assert found(result) == []
    assert sights(result, 2.5) == [(Sight.PROVED, None)] * 2


def test_a_log_that_backfill_lists_must_be_there() -> None:
    """As any other."""
    late = log_at(2.2, "late")
    result = proof([*RUN, stored(3, None, [late], chain=BACKFILL)])
    assert faults(result) == [(DigestFault.LOG_MISSING, log_object(late).uri)]


def test_backfill_digests_are_linked_among_themselves() -> None:
    """They come when they come: no hours are missed between them; the one before that is named must be there."""
    first = stored(2, None, chain=BACKFILL)
    last = stored(6, first, chain=BACKFILL)
    assert found(proof([*RUN, first, last])) == []
    third = stored(7, last, chain=BACKFILL)
    assert faults(proof([*RUN, first, third], as_of=12)) == [(DigestFault.REMOVED, last.uri)]


def test_a_log_listed_twice_is_found() -> None:
    """By two digests; and by one."""
    twice = [*run_of(2, LOGS), stored(3, run_of(2, LOGS)[1], [*LOGS[4:6], LOGS[3]])]
    assert faults(proof(twice, OBJECTS[:6], as_of=4)) == [(DigestFault.LISTED_TWICE, OBJECTS[3].uri)]
    assert faults(proof([stored(1, None, [LOGS[0], LOGS[0]])], OBJECTS[:1], as_of=2)) == [
        (DigestFault.LISTED_TWICE, OBJECTS[0].uri)
    ]


def test_logs_elsewhere_cannot_be_checked() -> None:
    """A digest lists a log in another bucket: no fault, and not proved, unless that bucket is an input too."""
    body = stored(2, RUN[0], LOGS[2:4])
    log = {"s3Bucket": "old", "s3Object": LOGS[9][0], "hashValue": OBJECTS[9].body_sha256, "hashAlgorithm": "SHA-256"}
    last = stored(2, RUN[0], LOGS[2:4], logFiles=[*msgspec.json.decode(body.body)["logFiles"], log])
    result = proof([RUN[0], last], OBJECTS[:4], as_of=3)
    assert found(result) == []
    assert sights(result, 1.5) == [(Sight.UNPROVED, DigestFault.ELSEWHERE)]
    there = msgspec.structs.replace(OBJECTS[9], uri=f"s3://old/{LOGS[9][0]}")
    both = proof([RUN[0], last], [*OBJECTS[:4], there], as_of=3, places=[Place(ROOT), Place("s3://old")])
    assert sights(both, 1.5) == [(Sight.PROVED, None)]
    altered = msgspec.structs.replace(there, body_sha256="00" * 32)
    both = proof([RUN[0], last], [*OBJECTS[:4], altered], as_of=3, places=[Place(ROOT), Place("s3://old")])
    assert found(both) == [DigestFault.LOG_ALTERED]


@pytest.mark.parametrize(
    ("root", "original", "path", "fault"),
    [
        (ROOT, None, RUN[0].path, None),
        ("s3://copy", None, RUN[0].path, DigestFault.MOVED),
        ("s3://copy", ROOT, RUN[0].path, None),
        ("s3://copy/a/b", ROOT + "/", RUN[0].path, None),
        ("s3://copy", ROOT + "/pre", RUN[0].path, DigestFault.MOVED),
        ("s3://copy", "s3://other", RUN[0].path, DigestFault.MOVED),
        (ROOT, None, "backup/" + RUN[0].path, DigestFault.MOVED),
        (ROOT, None, RUN[1].path, DigestFault.SWAPPED),
        ("/copy", None, RUN[0].path, None),
        ("/copy", None, "2026/" + RUN[0].path, None),
        ("/copy", None, RUN[0].path.partition("/")[2], None),
        ("/copy", None, RUN[0].path.replace("AWSLogs", "Logs"), DigestFault.MOVED),
        ("/copy", None, RUN[1].path, DigestFault.SWAPPED),
        ("/copy", ROOT, RUN[0].path, None),
        ("/copy", "s3://other", RUN[0].path, DigestFault.MOVED),
        ("/copy", None, "x" + RUN[0].path, DigestFault.MOVED),
    ],
)
def test_a_digest_must_lie_where_it_says(root: str, original: str | None, path: str, fault: DigestFault | None) -> None:
    """In a bucket exactly; in a folder as far as it can be known; in a stated copy as exactly as in a bucket."""
    digest = RUN[0].read(root=root, path=path)
    result = proof_of([digest], as_of=2, places=[Place(root, original)], tree=digest.chain.tree)
    assert [each for each in found(result) if each is not DigestFault.LOG_MISSING] == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("root", "lead"), [("/copy", ""), ("/copy", "2026/"), ("/copy/AWSLogs", "-AWSLogs/"), ("s3://copy/pre", "")]
)
def test_a_copy_is_proved_as_its_original_is(root: str, lead: str) -> None:
    """Logs are found beside the digests, and a missing one and a planted one are told by where they would lie."""

    def path_of(path: str) -> str:
        return path.removeprefix(lead[1:]) if lead.startswith("-") else lead + path

    read = [each.read(root=root, path=path_of(each.path)) for each in RUN]
    extra = log_object(log_at(4.2, "planted"))
    objects = [
        msgspec.structs.replace(each, uri=f"{root}/{path_of(each.uri.removeprefix(ROOT + '/'))}")
        for each in [*OBJECTS, extra]
    ]
    places = [Place(root, ROOT if root.startswith("s3") else None)]
    result = proof_of(read, objects[1:], as_of=9.5, places=places, tree=read[0].chain.tree)
    assert faults(result) == [(DigestFault.LOG_MISSING, objects[0].uri), (DigestFault.LOG_PLANTED, objects[-1].uri)]


def test_two_versions_of_one_digest_are_judged_each() -> None:
    """It was overwritten: the one that is right proves its hour, the other is told."""
    result = proof_of([*digests_of(RUN), RUN[4].edited(logFiles=[]).digest], OBJECTS, as_of=9)
    assert faults(result) == [(DigestFault.SIGNATURE_INVALID, RUN[4].uri)]
    assert sights(result, 4.5) == [(Sight.PROVED, None)]


def test_hostile_names_take_no_time() -> None:
    """Digests of the year 1 and 9999 that nobody signed: a verdict each, and no hours counted from there."""
    names = [RUN[0].path.replace("20261101", day) for day in ("00010101", "99991231")]
    read = [*digests_of(RUN), *(RUN[0].read(path=path) for path in names)]
    result = proof_of(read, OBJECTS, as_of=9)
    assert set(faults(result)) == {(DigestFault.SWAPPED, f"{ROOT}/{path}") for path in names}
    assert sights(result, 4.5) == [(Sight.PROVED, None)]


def test_no_digest_at_all_says_nothing() -> None:
    """Where validation was never on, nothing is planted, missing or proved."""
    assert proof([], OBJECTS) == Proof((), (), proof([], OBJECTS).settled)


def test_previous_is_named_whole() -> None:
    """The parts that are compared."""
    assert RUN[1].digest.previous == Previous(
        BUCKET, RUN[0].path, RUN[0].digest.body_sha256, RUN[0].metadata["signature"]
    )
