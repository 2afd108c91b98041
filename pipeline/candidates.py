"""The calls that a calibration makes: each canary's own, and candidates that it might have made instead."""

from __future__ import annotations

import fnmatch
import secrets
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from pipeline.emit_calls import CALLS, reasons_to_fail
from schemas.canaries import Canary, CanaryCode, Emission, Match
from transforms.canary_tokens import DEFAULT_PREFIX

_REASONS = 2
"""A guard rail that is tried must not be all that keeps a call from doing anything."""


class Trial(msgspec.Struct, frozen=True):
    """A call to be made in each of a canary's places. `canary` is who makes it: `of` itself, or a stand-in for it."""

    canary: Canary
    of: str

    @property
    def own(self) -> bool:
        """Whether it is the call that the configuration names."""
        return self.canary.name == self.of


class Candidates(msgspec.Struct, frozen=True):
    """Candidate calls of some canaries; `unsafe` and `heeded` say which are not made, and why."""

    trials: tuple[Trial, ...]
    unsafe: tuple[str, ...]
    heeded: tuple[str, ...]


class _Nonces(msgspec.Struct, frozen=True):
    """A `SecretSource` of this calibration alone, so that nobody knows beforehand what its calls carry."""

    key: bytes

    def secrets(self) -> tuple[bytes, ...]:
        """One."""
        return (self.key,)


def own_trials(canaries: Iterable[Canary]) -> tuple[Trial, ...]:
    """The call of each canary that has one."""
    return tuple(Trial(canary, canary.name) for canary in canaries if canary.emission is not None)


def unsafe_calls(canaries: Iterable[Canary]) -> list[str]:
    """Which canaries' own calls have too few reasons to fail, each with what it has."""
    emissions = ((canary.name, canary.emission) for canary in canaries if canary.emission is not None)
    return [f"{name}: {problem}" for name, emission in emissions if (problem := _unsafe(emission)) is not None]


def candidates_of(canaries: Sequence[Canary], calls: Sequence[str]) -> Candidates:
    """What each canary that has a call of its own might call instead, with the same role and in the same places.

    A candidate carries a code of its own, in the call's own carrier. It is not made with fewer than two independent
    reasons to fail, nor in a region where a declared canary listens for such calls: there it would be an imitation.
    """
    nonces = _Nonces(secrets.token_bytes(32))
    trials, unsafe, heeded = [], [], []
    for canary in canaries:
        for name in calls:
            if canary.emission is None or name == canary.emission.call:
                continue
            emission = msgspec.structs.replace(canary.emission, call=name, parameters="{}")
            listening = dict(_listening(canaries, canary, name))
            regions = tuple(region for region in canary.regions if region not in listening)
            heeded += [
                f"{canary.name}: {name} is not tried in {each}: {who} listens" for each, who in listening.items()
            ]
            if (problem := _unsafe(emission)) is not None:
                unsafe.append(f"{canary.name}: {problem}")
            elif regions:
                trials.append(Trial(_stand_in(canary, emission, regions, nonces), canary.name))
    return Candidates(tuple(trials), tuple(unsafe), tuple(heeded))


def _unsafe(emission: Emission) -> str | None:
    reasons = reasons_to_fail(emission)
    if len(reasons) >= _REASONS:
        return None
    only = f"only one reason to fail ({reasons[0]})" if reasons else "no reason to fail"
    return f"{emission.call} has {only}, and two are needed: name a role that has no rights"


def _listening(canaries: Iterable[Canary], of: Canary, call: str) -> Iterator[tuple[str, str]]:
    """Regions, and who might take such a call there for its own."""
    for canary in canaries:
        if set(canary.accounts) & set(of.accounts) and _might_match(canary, call):
            yield from ((region, canary.name) for region in of.regions if region in canary.regions)


def _might_match(canary: Canary, call: str) -> bool:
    told = {"event_source": CALLS[call].event_source, "event_name": CALLS[call].event_name}
    return all(
        any(fnmatch.fnmatchcase(told[match.field], glob) for glob in match.globs)
        for match in canary.match
        if match.field in told
    )


def _stand_in(canary: Canary, emission: Emission, regions: tuple[str, ...], nonces: _Nonces) -> Canary:
    call = CALLS[emission.call]
    return msgspec.structs.replace(
        canary,
        name=f"{canary.name}\t{emission.call}",  # the name of no declared canary: they are printable
        regions=regions,
        match=(
            Match("event_source", (call.event_source,)),
            Match("event_name", (call.event_name,)),
            Match("error_code", call.refused_as),
        ),
        code=CanaryCode(call.carrier, DEFAULT_PREFIX, nonces),
        emission=emission,
    )
