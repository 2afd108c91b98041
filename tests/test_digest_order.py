"""A proof is a function of sets: neither the order of arrival nor the splitting into calls changes the verdicts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import msgspec
from digest_worlds import (
    CHAIN,
    ROOT,
    TREE,
    Stored,
    hour_us,
    keys,
    log_at,
    log_object,
    run_of,
    stored,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.digest_proofs import DigestFinding, LogObject, Patience, Place, Proof, Settled, SightSpan
from schemas.digests import Digest, DigestFault
from schemas.times import HOUR_US
from transforms.digest_notes import Clock
from transforms.digest_places import Places
from transforms.digest_proof import Trust, prove
from transforms.digest_settling import still_needed
from transforms.digest_sweep import prove_in_order

PATIENCE = Patience(2 * HOUR_US, 6 * HOUR_US, 12 * HOUR_US)
TRUST = Trust(keys(), Places([Place(ROOT)]))
OTHER = msgspec.structs.replace(CHAIN, trail="second")


class Arrival(msgspec.Struct, frozen=True):
    """Something that comes at an hour."""

    hour: float
    what: Digest | LogObject


Verdict = tuple[list[DigestFinding], list[SightSpan]]


def clock(as_of: float) -> Clock:
    """The clock at an hour."""
    return Clock(hour_us(as_of), PATIENCE)


def verdict(findings: Iterable[DigestFinding], spans: Iterable[SightSpan]) -> Verdict:
    """Findings and spans, whenever they became final; spans that touch and say the same are one."""
    merged: list[SightSpan] = []
    for span in sorted(spans, key=lambda span: (span.chain, span.start_us)):
        plain = msgspec.structs.replace(span, final=False)
        last = merged[-1] if merged else None
        if last and (last.chain, last.cause, last.end_us) == (plain.chain, plain.cause, plain.start_us):
            merged[-1] = msgspec.structs.replace(last, end_us=plain.end_us)
        else:
            merged.append(plain)
    plain_findings = {msgspec.structs.replace(finding, final=False) for finding in findings}
    return sorted(plain_findings, key=lambda finding: (finding.start_us, finding.uri, finding.fault.value)), merged


def split(arrivals: Sequence[Arrival]) -> tuple[list[Digest], list[LogObject]]:
    """Digests and logs."""
    logs = [each.what for each in arrivals if isinstance(each.what, LogObject)]
    return [each.what for each in arrivals if not isinstance(each.what, LogObject)], logs


def in_calls(arrivals: Sequence[Arrival], hours: Sequence[float]) -> tuple[Verdict, list[Proof]]:
    """What calls at these hours say together, each with what came since the one before and what is still needed."""
    settled, digests, logs = Settled(), list[Digest](), list[LogObject]()
    proofs, before = [], float("-inf")
    for hour in hours:
        new_digests, new_logs = split([each for each in arrivals if before < each.hour <= hour])
        digests, logs, before = digests + new_digests, logs + new_logs, hour
        proofs.append(prove(TREE, digests, logs, TRUST, clock(hour), settled))
        settled = proofs[-1].settled
        digests, logs = still_needed(settled, digests, logs, TRUST.places)
    return together(proofs), proofs


def together(proofs: Sequence[Proof]) -> Verdict:
    """What is final of all but the last, and all of the last."""
    findings = [f for proof in proofs[:-1] for f in proof.findings if f.final] + list(proofs[-1].findings)
    spans = [s for proof in proofs[:-1] for s in proof.spans if s.final] + list(proofs[-1].spans)
    return verdict(findings, spans)


@st.composite
def worlds(draw: st.DrawFn) -> list[Arrival]:
    """Chains with faults in them, and when each part comes: digests up to half a day late, logs up to three hours."""
    hours = draw(st.integers(3, 30))
    arrivals: list[Arrival] = []
    chains = [(CHAIN, 1, hours)]
    if draw(st.booleans()):
        chains.append((OTHER, draw(st.integers(1, hours)), draw(st.integers(1, hours))))
    for chain, first, length in chains:
        arrivals += draw(_chain(run_of_chain(chain, first, length, draw(st.sets(st.integers(2, 30), max_size=2)))))
    for number, hour in enumerate(draw(st.lists(st.floats(0, hours), max_size=2))):
        planted = log_object(log_at(hour, f"planted{number}"))
        arrivals.append(Arrival(hour + draw(st.floats(0, 40)), planted))
    for number, end in enumerate(draw(st.lists(st.integers(1, hours), max_size=2, unique=True))):
        late = log_at(end - 0.5, f"late{number}")
        backfill = stored(end, None, [late], chain=msgspec.structs.replace(CHAIN, backfill=True))
        arrivals.append(Arrival(end + draw(st.floats(0, 11)), backfill.digest))
        if draw(st.booleans()):
            arrivals.append(Arrival(end + draw(st.floats(0, 3)), log_object(late)))
    return arrivals


def run_of_chain(
    chain: object, first: int, length: int, restarts: set[int]
) -> list[tuple[Stored, list[tuple[str, bytes]]]]:
    """Digests of a chain that begins anew at some, with the logs that each lists."""
    run: list[tuple[Stored, list[tuple[str, bytes]]]] = []
    for end in range(first, first + length):
        logs = [log_at(end - 0.7, f"{chain.trail}{end}")] if end % 3 else []
        before = None if not run or end in restarts else run[-1][0]
        run.append((stored(end, before, logs, chain=chain), logs))
    return run


@st.composite
def _chain(draw: st.DrawFn, run: list[tuple[Stored, list[tuple[str, bytes]]]]) -> list[Arrival]:
    arrivals: list[Arrival] = []
    for number, (each, logs) in enumerate(run):
        end = (each.digest.end_us - hour_us(0)) / HOUR_US
        fate = draw(st.sampled_from(["there"] * 8 + ["removed", "edited", "unsigned", "both"]))
        digests = {
            "there": [each],
            "removed": [],
            "edited": [each.edited(logFiles=[])],
            "unsigned": [each.edited(metadata={})],
            "both": [each, each.edited(logFiles=[])],
        }[fate]
        late = draw(st.sampled_from([0.1] * 6 + [1.5, 3.2, 11]))
        arrivals += [Arrival(end + late, digest.digest) for digest in digests]
        for log in logs:
            fate = draw(st.sampled_from(["there"] * 8 + ["removed", "altered", "both"]))
            objects = [log_object(log)] if fate in ("there", "both") else []
            objects += [log_object(log, body_sha256="00" * 32)] if fate in ("altered", "both") else []
            arrivals += [Arrival(end - 0.7 + draw(st.sampled_from([0, 0.1, 3])), each) for each in objects]
        assert number < 60
    return arrivals


@settings(max_examples=60, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_changes_nothing(arrivals: list[Arrival], rng: random.Random) -> None:
    """Digests and logs in any order, and some of them twice, give the same proof."""
    digests, logs = split(arrivals)
    expected = prove(TREE, digests, logs, TRUST, clock(40))
    mixed = [rng.sample(some, len(some)) + rng.sample(some, len(some) // 2) for some in (digests, logs)]
    assert prove(TREE, *mixed, TRUST, clock(40)) == expected


@settings(max_examples=150, deadline=None)
@given(worlds(), st.lists(st.floats(0, 70), max_size=12))
def test_the_splitting_changes_nothing(arrivals: list[Arrival], hours: list[float]) -> None:
    """Calls at any times, each going on from what was settled before, say together what one call says at the end."""
    digests, logs = split(arrivals)
    proof = prove(TREE, digests, logs, TRUST, clock(71))
    said, _ = in_calls(arrivals, [*sorted(hours), 71])
    assert said == verdict(proof.findings, proof.spans)


@settings(max_examples=20, deadline=None)
@given(worlds())
def test_the_sweep_says_what_one_proof_says(arrivals: list[Arrival]) -> None:
    """In order of time and in little memory, the same verdicts."""
    digests, logs = split(arrivals)
    proof = prove(TREE, digests, logs, TRUST, clock(71))
    in_order = sorted(digests, key=lambda digest: digest.delivered_us), sorted(logs, key=lambda log: log.delivered_us)
    assert together(list(prove_in_order(TREE, *in_order, TRUST, clock(71)))) == verdict(proof.findings, proof.spans)


def test_what_is_settled_is_small() -> None:
    """After a month without a fault the last hours are still needed; a removed digest keeps half a day more."""
    for removed, kept in ((None, 8), (690, 30)):
        run = run_of(720)
        arrivals = [Arrival(end + 0.2, each.digest) for end, each in enumerate(run, 1) if end != removed]
        _, proofs = in_calls(arrivals, range(24, 721, 24))
        digests, _ = split(arrivals)
        assert len(still_needed(proofs[-1].settled, digests, [], TRUST.places)[0]) <= kept
        (head,) = proofs[-1].settled.chains
        assert (head.began_us, proofs[-1].settled.listed) == (hour_us(0), ())
        assert msgspec.json.decode(msgspec.json.encode(proofs[-1].settled), type=Settled) == proofs[-1].settled
        assert max(len(proof.findings) for proof in proofs) == (1 if removed else 0)


def test_a_digest_settles_only_with_the_next_one() -> None:
    """The next one tells that the one before is not the one that was there, however late it comes."""
    run = run_of(3)
    other = stored(2, run[0], newMember=1)
    arrivals = [Arrival(1, run[0].digest), Arrival(2, other.digest), Arrival(10, run[2].digest)]
    said, _ = in_calls(arrivals, [9, 11, 30])
    digests, _ = split(arrivals)
    proof = prove(TREE, digests, [], TRUST, clock(30))
    assert said == verdict(proof.findings, proof.spans)
    assert DigestFault.PREVIOUS_HASH in {finding.fault for finding in proof.findings}


def test_a_log_planted_under_an_old_name_is_found() -> None:
    """Also before the second trail of the tree began, long after all that was settled."""
    runs = [*run_of(30), *run_of(20, chain=OTHER, first=11)]
    arrivals = [Arrival((each.digest.end_us - hour_us(0)) / HOUR_US, each.digest) for each in runs]
    planted = log_object(log_at(5.2, "planted"))
    said, proofs = in_calls([*arrivals, Arrival(30.2, planted)], [28, 31])
    settled_us = proofs[0].settled.objects_us
    assert settled_us is not None
    assert settled_us > planted.delivered_us
    assert [(finding.fault, finding.uri) for finding in said[0]] == [(DigestFault.LOG_PLANTED, planted.uri)]
    assert [finding.final for finding in proofs[1].findings] == [True]


def test_backfill_may_come_late() -> None:
    """Its chain is not settled before nothing more can come, whatever came since."""
    backfill = msgspec.structs.replace(CHAIN, backfill=True)
    late_log = log_at(2.5)
    came = [Arrival(end + 1, stored(end, None, chain=backfill).digest) for end in (2, 4, 6)]
    late = stored(3, None, [late_log], chain=backfill)
    came += [Arrival(13.5, late.digest), Arrival(13.5, log_object(late_log))]
    arrivals = [*(Arrival(end + 0.1, each.digest) for end, each in enumerate(run_of(19), 1)), *came]
    said, _ = in_calls(arrivals, [6, 10, 13, 14, 16, 20])
    proof = prove(TREE, *split(arrivals), TRUST, clock(20))
    assert proof.findings == ()
    assert said == verdict(proof.findings, proof.spans)
