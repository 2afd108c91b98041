"""One-time codes: what is right, what is replayed, and that nothing else is ever taken for right."""

from __future__ import annotations

import hmac
import random
import re
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from canary_worlds import CANARY, FIRST, PERIOD_US, PLACE, START_US
from hypothesis import given
from hypothesis import strategies as st

from schemas.alerts import Severity
from schemas.archive import ARCHIVE_SCHEMA
from schemas.canaries import Canary, CanaryCode, Match, Place, Sighting
from transforms.alert_encoding import alerts_jsonl
from transforms.canary_codes import CODE_PATTERN, Answer, Checked, CodeBook, make_code
from transforms.modifications import alerts_of_all
from transforms.sightings import CanaryCalls, find_calls

NEW, OLD = b"n" * 32, b"o" * 32
ELSEWHERE = Place(CANARY.name, "444455556666", "us-east-1")
SUNG = msgspec.structs.replace(CANARY, accounts=("111122223333", "444455556666"), regions=("eu-west-1", "us-east-1"))
BOOK = CodeBook(SUNG, (NEW, OLD))
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
FIELDS = st.text(max_size=6)


class Known(msgspec.Struct, frozen=True):
    """A source of secrets that a test knows."""

    values: tuple[bytes, ...] = (NEW, OLD)

    def secrets(self) -> tuple[bytes, ...]:
        """Those."""
        return self.values


def code(slot: int = FIRST, place: Place = PLACE, secret: bytes = NEW) -> str:
    """The right code of a slot."""
    return make_code(secret, place, PERIOD_US, slot)


def mutated(rng: random.Random, right: str) -> str:
    """The code with a letter more, less or other, cut, doubled, in capitals, or with two letters exchanged."""
    at, letter = rng.randrange(len(right)), rng.choice(LETTERS + "018A-é\0")
    other = rng.randrange(len(right))
    exchanged = list(right)
    exchanged[at], exchanged[other] = exchanged[other], exchanged[at]
    return rng.choice(
        (
            right[:at] + letter + right[at + 1 :],
            right[:at] + letter + right[at:],
            right[:at] + right[at + 1 :],
            right[:at],
            right + right[:at],
            right.upper(),
            right[::-1],
            "".join(exchanged),
        )
    )


def attempts(count: int) -> list[str]:
    """So many different random and mutated codes, none of them right; the same in every run."""
    rng = random.Random(4)  # noqa: S311 - must repeat
    made: set[str] = set()
    while len(made) < count:
        made.add("".join(rng.choices(LETTERS, k=32)))
        made.add(mutated(rng, rng.choice((code(), mutated(rng, code()) or "a"))))
        made.discard(code())
    return sorted(made)[:count]


def test_a_code_is_what_it_is_documented_to_be() -> None:
    """HMAC-SHA256 over five fields and a version, each with its length before it; 160 bits in base32."""
    fields = (b"trailcanary code 1", b"dry-run-instances", b"111122223333", b"eu-west-1", b"300000000", b"%d" % FIRST)
    message = b"".join(len(each).to_bytes(4, "big") + each for each in fields)
    number = int.from_bytes(hmac.digest(NEW, message, "sha256")[:20], "big")
    assert code() == "".join(LETTERS[number >> 5 * digit & 31] for digit in reversed(range(32)))
    assert re.fullmatch(CODE_PATTERN, code())
    assert re.fullmatch(r"[\w+=,.@-]{2,64}", "a" * 16 + code())
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", "a" * 16 + code())


@given(st.tuples(FIELDS, FIELDS, FIELDS, st.integers(0, 99)), st.tuples(FIELDS, FIELDS, FIELDS, st.integers(0, 99)))
def test_codes_of_different_slots_differ(one: tuple[str, str, str, int], other: tuple[str, str, str, int]) -> None:
    """However their fields would read one after the other."""
    codes = {make_code(NEW, Place(*each[:3]), PERIOD_US, each[3]) for each in (one, other)}
    assert len(codes) == len({one, other})


@pytest.mark.parametrize(
    ("one", "other"), [(("ab", "c", "d", 1), ("a", "bc", "d", 1)), (("a", "b", "c", 11), ("a", "b", "c1", 1))]
)
def test_fields_do_not_run_together(one: tuple[str, str, str, int], other: tuple[str, str, str, int]) -> None:
    """Each has its length before it."""
    assert make_code(NEW, Place(*one[:3]), PERIOD_US, one[3]) != make_code(NEW, Place(*other[:3]), PERIOD_US, other[3])


def test_a_longer_period_makes_no_old_code_true() -> None:
    """Slots are numbered by the period: the number alone would name two times."""
    assert make_code(NEW, PLACE, PERIOD_US, FIRST) != make_code(NEW, PLACE, PERIOD_US + 1_000_000, FIRST)


def test_two_secrets_are_valid_at_once() -> None:
    """A rotation: both are right, a third is not."""
    assert BOOK.check(code(secret=NEW), PLACE, FIRST) == Checked(Answer.RIGHT)
    assert BOOK.check(code(secret=OLD), PLACE, FIRST) == Checked(Answer.RIGHT)
    assert BOOK.check(code(secret=b"x" * 32), PLACE, FIRST) == Checked(Answer.WRONG)


@pytest.mark.parametrize("secret", [NEW, OLD])
@pytest.mark.parametrize(
    ("place", "slot"),
    [
        (PLACE, FIRST - 1),
        (PLACE, FIRST + 1),
        (PLACE, FIRST + 16),
        (PLACE, FIRST - 4096),
        (ELSEWHERE, FIRST),
        (ELSEWHERE, FIRST - 1),
        (Place(CANARY.name, PLACE.account_id, "us-east-1"), FIRST + 1),
        (Place(CANARY.name, "444455556666", PLACE.region), FIRST),
    ],
)
def test_a_code_of_elsewhere_is_replayed(secret: bytes, place: Place, slot: int) -> None:
    """Another slot within reach, another account, another region: it is told which."""
    assert BOOK.check(code(slot, place, secret), PLACE, FIRST) == Checked(Answer.REPLAYED, place, slot)


@pytest.mark.parametrize(
    ("place", "slot"),
    [
        (PLACE, FIRST - 4097),
        (PLACE, FIRST + 17),
        (ELSEWHERE, FIRST - 2),
        (Place("another", PLACE.account_id, PLACE.region), FIRST),
        (Place(CANARY.name, "777788889999", PLACE.region), FIRST),
    ],
)
def test_a_code_out_of_reach_is_wrong(place: Place, slot: int) -> None:
    """The search is bounded; what it does not find is no better than a guess."""
    assert BOOK.check(code(slot, place), PLACE, FIRST) == Checked(Answer.WRONG)


@pytest.mark.parametrize("slot", [-5_000, -1, 0, 1, 10**12])
def test_slots_of_any_time_are_checked(slot: int) -> None:
    """Event times are whatever a record says."""
    assert BOOK.check(code(slot), PLACE, slot) == Checked(Answer.RIGHT)
    assert BOOK.check(code(slot), PLACE, slot + 20_000) == Checked(Answer.WRONG)


def test_none_of_10000_random_and_mutated_codes_is_accepted() -> None:
    """Nor is one taken for a replay."""
    tried = attempts(10_000)
    assert len(set(tried)) == 10_000
    assert {BOOK.check(each, PLACE, FIRST).answer for each in tried} == {Answer.WRONG}


def test_every_secret_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `compare_digest`, all of them, whether the first is right or not."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b))
    for given_code in (code(secret=NEW), code(secret=OLD), "wrong", "é\ud800"):
        BOOK.check(given_code, PLACE, FIRST)
    assert [right for _, right in compared] == [code(secret=NEW).encode(), code(secret=OLD).encode()] * 4


# In rows of the archive ------------------------------------------------------------------------------------------

ROLE = "arn:aws:sts::111122223333:assumed-role/canary/"
NAMED = (
    Match("event_name", ("RunInstances",)),
    Match("error_code", ("Client.UnauthorizedOperation", "AccessDenied*")),
    Match("user_arn", (f"{ROLE}*",)),
)
ANYBODY = NAMED[:2]
REFUSED = "Client.UnauthorizedOperation"


def row(token: str | None = None, **changes: Any) -> dict[str, Any]:
    """A refused call of the first slot with a client token."""
    parameters = None if token is None else msgspec.json.encode({"clientToken": token}).decode()
    return {
        "event_time": START_US + 1,
        "delivered_at": START_US + 2,
        "event_id": "event-1",
        "event_name": "RunInstances",
        "event_source": "ec2.amazonaws.com",
        "aws_region": PLACE.region,
        "recipient_account_id": PLACE.account_id,
        "error_code": REFUSED,
        "user_identity": {"arn": f"{ROLE}x"},
        "source_ip_address": "192.0.2.7",
        "request_parameters": parameters,
        "object_key": "s3://logs/a.json.gz",
        "record_index": 0,
    } | changes


def coded(match: tuple[Match, ...] = NAMED, carrier: str = "request_parameters.clientToken") -> Canary:
    """The canary with a code."""
    return msgspec.structs.replace(SUNG, match=match, code=CanaryCode(carrier, "tc-", Known()))


def calls(canary: Canary, *rows: dict[str, Any]) -> CanaryCalls:
    """What is found in rows."""
    return find_calls(pa.Table.from_pylist(list(rows), schema=ARCHIVE_SCHEMA), [canary])


def told(canary: Canary, *rows: dict[str, Any]) -> tuple[int, list[tuple[str, str]]]:
    """How many calls are heard, and what is found: kind and title."""
    found = calls(canary, *rows)
    return len(found.sightings), [(each.rule, each.rule_title) for each in found.findings]


def test_the_right_code_is_heard() -> None:
    """And nobody is told."""
    sighting = Sighting(PLACE, FIRST, START_US + 1, START_US + 2, "event-1", "s3://logs/a.json.gz")
    assert calls(coded(), row(f"tc-{code()}")) == CanaryCalls((sighting,))
    assert calls(coded(ANYBODY), row(f"tc-{code(secret=OLD)}", user_identity=None)) == CanaryCalls((sighting,))


@pytest.mark.parametrize(
    ("token", "kind", "words"),
    [
        (f"tc-{'a' * 32}", "canary.forged", "with a wrong code"),
        (f"tc-{code().upper()}", "canary.forged", "with a wrong code"),
        (f"tc-{code()}x", "canary.forged", "with a wrong code"),
        (f"tc-{code()} tc-{code()}", "canary.forged", "with a wrong code"),
        (f"x tc-{code()}", "canary.forged", "without a code"),
        (code(), "canary.forged", "without a code"),
        ("", "canary.forged", "without a code"),
        (None, "canary.forged", "without a code"),
        (f"tc-{code(FIRST - 3)}", "canary.replayed", "with the code of another slot, 2026-10-31T23:45:00Z"),
        (
            f"tc-{code(place=ELSEWHERE)}",
            "canary.replayed",
            "with the code of 444455556666 us-east-1, slot 2026-11-01T00:00:00Z",
        ),
    ],
)
def test_a_forged_call_is_never_heard(token: str | None, kind: str, words: str) -> None:
    """Wrong, missing or replayed: the conditions hold, the caller is the canary's own, and it is told all the same."""
    assert told(coded(), row(token)) == (0, [(kind, f"Canary dry-run-instances is imitated {words}")])


def test_strangers_calls_that_try_nothing_are_nobodys() -> None:
    """Where the conditions do not name the caller, a call without the prefix is somebody's own refusal."""
    assert told(coded(ANYBODY), row("terraform-1"), row(None)) == (0, [])
    assert told(coded(ANYBODY), row("tc-1")) == (
        0,
        [("canary.forged", "Canary dry-run-instances is imitated with a wrong code")],
    )


@pytest.mark.parametrize("error", [None, "", "Client.DryRunOperation"])
def test_an_allowed_call_is_heard_and_told(error: str | None) -> None:
    """The log works; the guard rail does not. It must be the canary's: by its code, or by its caller."""
    allowed = [("canary.allowed", "Canary dry-run-instances is no longer refused")]
    uncoded = msgspec.structs.replace(coded(), code=None)
    assert told(coded(ANYBODY), row(f"tc-{code()}", error_code=error)) == (1, allowed)
    assert told(uncoded, row("x", error_code=error)) == (1, allowed)
    assert told(msgspec.structs.replace(uncoded, match=ANYBODY), row("x", error_code=error)) == (0, [])
    assert told(coded(), row("tc-x", error_code=error)) == (
        0,
        [*allowed, ("canary.forged", "Canary dry-run-instances is imitated with a wrong code")],
    )


def test_a_call_that_fails_otherwise_is_no_call() -> None:
    """Throttling refuses everybody, and proves nothing."""
    assert told(coded(), row(f"tc-{code()}", error_code="Client.RequestLimitExceeded")) == (0, [])


def test_what_the_conditions_ask_for_is_not_allowed() -> None:
    """Somebody may declare a dry run that succeeds, or no condition on the error at all."""
    match = (NAMED[0], Match("error_code", ("Client.DryRunOperation",)), NAMED[2])
    dry = row(f"tc-{code()}", error_code="Client.DryRunOperation")
    assert told(coded(match), dry) == (1, [])
    unguarded = msgspec.structs.replace(coded((NAMED[0],)), code=None)
    assert told(unguarded, row("x", error_code=None), row("x")) == (2, [])


@pytest.mark.parametrize(
    ("carrier", "there"),
    [
        ("session_name", {"user_identity": {"arn": ROLE + "%s"}}),
        ("user_agent", {"user_agent": "Boto3/1.40 md/x %s exec-env/AWS_Lambda"}),
        ("error_message", {"error_message": "%s may not assume arn:aws:iam::111122223333:role/%s"}),
        ("request_parameters.bucketName", {"request_parameters": '{"bucketName":"%s"}'}),
    ],
)
def test_each_carrier_is_read(carrier: str, there: dict[str, Any]) -> None:
    """Whole, or among other words where a record has some."""

    def carrying(text: str) -> dict[str, Any]:
        (name, form), *_ = there.items()
        filled = {"arn": form["arn"] % text} if isinstance(form, dict) else form.replace("%s", text)
        return row(None, **{name: filled})

    canary = coded(NAMED, carrier)
    assert told(canary, carrying(f"tc-{code()}")) == (1, [])
    for wrong in (f"tc-{code()}x", f"xtc-{code()}", f"tc-{'a' * 32}", "other"):
        heard, found = told(canary, carrying(wrong))
        assert (heard, [kind for kind, _ in found]) == (0, ["canary.forged"])
    assert told(canary, carrying(f"tc-{code(FIRST - 1)}"))[1][0][0] == "canary.replayed"


def test_a_call_that_succeeds_has_no_message_to_carry_a_code() -> None:
    """So it is told as allowed, and not as forged."""
    assert told(coded(NAMED, "error_message"), row(None, error_code=None)) == (
        0,
        [("canary.allowed", "Canary dry-run-instances is no longer refused")],
    )


def test_two_codes_in_one_text_are_none() -> None:
    """A message that repeats one code twice has one; with two nobody can say which was meant."""
    canary = coded(NAMED, "error_message")
    assert told(canary, row(error_message=f"tc-{code()} and tc-{'a' * 32}"))[1][0][0] == "canary.forged"


def test_10000_rows_with_random_and_mutated_codes_are_all_told() -> None:
    """None is heard, each is an alert of its own, in one incident."""
    rows = [row(f"tc-{each}", event_id=f"event-{number}") for number, each in enumerate(attempts(10_000))]
    found = calls(coded(), *rows)
    assert (found.sightings, len(found.findings)) == ((), 10_000)
    alerts = alerts_of_all(found.findings, lambda _: False)
    assert len({alert.alert_id for alert in alerts}) == 10_000
    assert len({alert.incident_id for alert in alerts}) == 1


def test_the_alert_of_a_forged_call() -> None:
    """Critical and certain although the call was refused; with place, caller and runbook; without code or secret."""
    forged = row(f"tc-{'a' * 32}")
    found = calls(coded(), forged, forged | {"object_key": "s3://logs/b.json.gz", "delivered_at": START_US + 9})
    (alert,) = alerts_of_all(found.findings, lambda _: False)
    assert (alert.kind, alert.severity, alert.confidence) == ("canary.forged", Severity.CRITICAL, "certain")
    assert (alert.canary, alert.account_id, alert.region) == tuple(msgspec.structs.astuple(PLACE))
    assert alert.runbook == "docs/runbooks/canary-forged.md"
    assert alert.detected_us == START_US + 2
    assert alert.title == (
        "Canary dry-run-instances is imitated with a wrong code: RunInstances in 111122223333 "
        f"by {ROLE}x from 192.0.2.7 was refused ({REFUSED})"
    )
    text = alerts_jsonl([alert])
    assert not any(secret in text for secret in (b"aaaa", NEW, OLD, code().encode()))


def test_the_alert_of_an_allowed_call() -> None:
    """Says that it would have succeeded, and is an incident of its own."""
    allowed = calls(coded(), row(f"tc-{code()}", error_code="Client.DryRunOperation"))
    (alert,) = alerts_of_all(allowed.findings, lambda _: True)
    assert (alert.kind, alert.severity, alert.status.value) == ("canary.allowed", Severity.HIGH, "updated")
    assert alert.title.endswith("would have succeeded (Client.DryRunOperation)")


def test_a_code_changes_which_events_are_sightings() -> None:
    """So a lake is searched again; not when secrets change, which they do without a word."""
    bare = msgspec.structs.replace(coded(), code=None)
    other = msgspec.structs.replace(coded(), code=CanaryCode("user_agent", "tc-", Known()))
    rotated = msgspec.structs.replace(
        coded(), code=CanaryCode("request_parameters.clientToken", "tc-", Known((b"x" * 32,)))
    )
    assert len({bare.fingerprint, coded().fingerprint, other.fingerprint}) == 3
    assert rotated.fingerprint == coded().fingerprint
