"""The bucket: everything that a scenario delivers, object by object, in delivery order."""

from __future__ import annotations

from collections.abc import Iterator

from transforms.simulation.file_attacks import FILE_ATTACKS
from transforms.simulation.neighbours import neighbours_at
from transforms.simulation.objects import RECORDS_PER_OBJECT, LogNames, SimulatedObject, gzip_bytes, log_body
from transforms.simulation.place_digests import PlaceDigests
from transforms.simulation.records import Recorder
from transforms.simulation.scenario import INTERVAL_US, Scenario
from transforms.simulation.tampering import Scene, tampered
from transforms.simulation.timeline import Timeline


def simulate(scenario: Scenario) -> Iterator[SimulatedObject]:
    """Deliver a scenario: each object once, in delivery order, made when it is asked for.

    `accounts` members and one more, the security account, deliver through the organisation's trail. The security
    account and every third member also have a trail of their own into the same bucket: their records lie there twice.
    What happened before the end is delivered up to ten minutes after it. Equal scenarios give equal bytes (with the
    same zlib), and an attack changes nothing before its time, unless it deletes the first digests. Memory holds five
    minutes of one place, the hour's list of objects and what is late, whatever the length.

    Raises:
        UsageError: at the call, for an unknown attack or impossible parameters; every problem is listed.
    """
    timeline = Timeline(scenario)
    scene = Scene(scenario, (timeline.interval + 1) * INTERVAL_US)
    attacks = [FILE_ATTACKS[name] for name in dict.fromkeys(scenario.attacks) if name in FILE_ATTACKS]
    tampers = [attack.tamper(scene) for attack in attacks if attack.tamper]
    return tampered(_Bucket(scenario, timeline).objects(), tampers)


class _Bucket:
    def __init__(self, scenario: Scenario, timeline: Timeline) -> None:
        self._scenario = scenario
        self._timeline = timeline
        self._recorder = Recorder(scenario, timeline)
        self._names = LogNames(scenario)
        self._twice = scenario.twice
        self._digests = {
            (account, region): PlaceDigests(scenario, timeline, account, region)
            for account in scenario.delivering
            for region in scenario.regions
        }

    def objects(self) -> Iterator[SimulatedObject]:
        intervals, home = self._scenario.intervals, (self._scenario.members[0], self._scenario.home_region)
        for mark in range(intervals.start + 1, intervals.stop + 2 + self._timeline.delay_marks):
            for account, region in self._digests:
                if self._timeline.delivers(account, region, mark):
                    yield from self._deliveries(account, region, mark)
            if self._timeline.delivers(*home, mark):
                yield from neighbours_at(self._scenario, self._names, mark)

    def _deliveries(self, account: str, region: str, mark: int) -> Iterator[SimulatedObject]:
        for due in self._timeline.due_at(account, mark):
            records = self._recorder.records_at(account, region, due)
            for part, first in enumerate(range(0, len(records), RECORDS_PER_OBJECT)):
                some = records[first : first + RECORDS_PER_OBJECT]
                yield from self._copies(account, region, mark, 100 * (mark - due) + part, some)
        yield from self._digests[account, region].close(mark)

    def _copies(self, account: str, region: str, mark: int, part: int, records: list[str]) -> Iterator[SimulatedObject]:
        delivered_us, body = mark * INTERVAL_US, log_body(records)
        key = self._names.key(account, region, mark, part=part, own=False)
        self._digests[account, region].add(mark, key, body)
        yield SimulatedObject(key, self._compress(body, account, mark), delivered_us)
        if account in self._twice:
            key = self._names.key(account, region, mark, part=part, own=True)
            yield SimulatedObject(key, self._compress(log_body(records[::-1]), account, mark), delivered_us)

    def _compress(self, body: bytes, account: str, mark: int) -> bytes:
        whole = gzip_bytes(body)
        return whole[: len(whole) // 2] if self._timeline.truncated(account, mark) else whole
