"""Batch = watch = stream: however a day is delivered and cut up, and whoever dies when, the lake says the same."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson
import pytest
from folders import alerts, letters
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from three_hours import CONFIG, COPIED_KEYS, OBJECTS, Parcel, at_us, fill_bucket
from three_ways import Bounded, Death, Pace, Story, Streaming, Watching, Way

from pipeline.compact import Options, compact
from pipeline.lake import read_lake
from pipeline.lake_connection import connect
from pipeline.local_storage import LocalStorage
from schemas.balance import BalanceSheet
from schemas.keys import parse_key
from schemas.settings import MIB
from schemas.times import MINUTE_US, parse_iso_us

LATER_US = parse_iso_us("2100-01-01T00:00:00Z")
"""Later than any file was written."""

_ROWS = "SELECT * EXCLUDE (object_key, record_index, delivered_at) FROM events"
_LEDGER = "SELECT uri, etag, status, records, archived + duplicates, dead, changed FROM objects ORDER BY ALL"
_SLOTS = "SELECT canary, account_id, region, slot, verdict FROM canary_slots ORDER BY ALL"
_PLACES = "SELECT object_key, record_index, event_id FROM events"
_SUMS = """
    SELECT
        count(*),
        count(*) FILTER (status = 'read'),
        count(*) FILTER (status = 'dead'),
        count(*) FILTER (status = 'unchanged'),
        count(*) FILTER (status = 'not_log'),
        sum(records), sum(archived), sum(duplicates), sum(dead),
        (SELECT count(*) FROM events)
    FROM objects
"""
_SHARED = (
    *("incident_id", "kind", "severity", "window_start", "account_id", "region", "canary", "resource"),
    "suppressed_by",
)


class Told(NamedTuple):
    """What a lake says, as far as it must be the same whichever way it was made.

    Left open is which of an event's copies its row is (`places` are those of events that came once), which of the
    alerts about an incident's events is called the first, and by which copy they were detected.
    """

    rows: Counter[str]
    places: Counter[tuple[Any, ...]]
    ledger: list[tuple[Any, ...]]
    letters: list[tuple[Any, ...]]
    slots: list[tuple[Any, ...]]
    alerts: dict[str, tuple[Any, ...]]
    balance: BalanceSheet


class Bucket(NamedTuple):
    """All that is ever delivered, and what a run at the end makes of it."""

    folder: Path
    parcels: list[Parcel]
    once: Told

    def __repr__(self) -> str:
        return "the bucket"


def told_by(way: Way) -> Told:
    """Read a lake; small files are merged first, which removes copies that lie in different bundles."""
    folder = Path(way.lake.root)
    assert read_lake(way.lake, CONFIG).died == ()
    sheets = [orjson.loads(path.read_bytes()) for path in folder.glob("runs/*.json")]
    assert not any(sheet.get("faults") for sheet in sheets)
    found = alerts(folder)
    first = Counter(alert["incident_id"] for alert in found.values() if alert["status"] == "opened")
    assert first == Counter({alert["incident_id"] for alert in found.values()})
    pages = [(alert["incident_id"], alert["status"]) for alert in found.values() if alert["suppressed_by"] is None]
    assert max(Counter(each for each in pages if each[1] != "updated").values()) == 1
    audit, places, ((*sums, events),) = asked(way.lake, "FROM audit", _PLACES, _SUMS)
    assert (audit, max(Counter(places).values())) == ([], 1)
    booked = sum((msgspec.convert(sheet["balance"], BalanceSheet) for sheet in sheets), BalanceSheet())
    assert handled(booked) == handled(BalanceSheet(*map(int, sums), events))
    compact(way.lake, Options(keep_us=0, settle_us=0), lambda: LATER_US)
    audit, rows, ledger, slots, ((*sums, events),) = asked(way.lake, "FROM audit", _ROWS, _LEDGER, _SLOTS, _SUMS)
    balance = BalanceSheet(*map(int, sums), events)
    assert (audit, balance.faults()) == ([], ())
    return Told(
        Counter(map(repr, rows)),
        Counter(place for place in places if not place[0].endswith(tuple(COPIED_KEYS))),
        ledger,
        [(each["path"], each["record_index"], each["reason"], each["body_sha256"]) for each in letters(folder)],
        slots,
        {each: tuple(alert[name] for name in _SHARED) for each, alert in found.items()},
        balance,
    )


def handled(sheet: BalanceSheet) -> BalanceSheet:
    """All but what is listed, which each run lists again."""
    return msgspec.structs.replace(sheet, objects_listed=0, objects_known=0)


def asked(lake: LocalStorage, *queries: str) -> list[list[tuple[Any, ...]]]:
    """Rows of several queries over a lake's views."""
    with connect(lake) as connection:
        return [connection.execute(sql).fetchall() for sql in queries]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    """Three hours, and what a run that nothing disturbs makes of them."""
    top = tmp_path_factory.mktemp("three-ways")
    parcels = fill_bucket(top / "in")
    run = Bounded(top / "in", top / "once", Story({each.path: each.delivered_us for each in parcels}, (), ()))
    run.live()
    once = told_by(run)
    suppressors = {alert[-1] for alert in once.alerts.values()}
    assert suppressors > {None, "maintenance:attempts", "maintenance:silence"}
    assert {alert[1] for alert in once.alerts.values()} == {
        "canary.allowed", "canary.missing", "canary.unsure", "ingest.unreadable",
        "trail.attempted", "trail.coverage_lost", "trail.tampered",
    }  # fmt: skip
    assert {slot[-1] for slot in once.slots} == {"seen", "late", "missing", "unsure"}
    assert (once.balance.records_duplicate, once.balance.records_dead, len(once.letters)) == (10, 1, 2)
    assert {alert[1] for alert in once.alerts.values() if alert[0] in suppressors} == {
        "canary.missing", "trail.attempted",
    }  # fmt: skip
    return Bucket(top / "in", parcels, once)


class Plot(NamedTuple):
    """What is drawn. Object k is visible after a share of the time that it has, in tenths; one comes hours later."""

    tenths: Sequence[int]
    looks_min: Sequence[int]
    deaths: Sequence[Death] = ()
    pace: Pace = Pace(0, 0, 16 * MIB)
    straggler: tuple[int, int] | None = None


_DEATHS = st.builds(Death, st.integers(1, 45), st.integers(0, 70).map(lambda minutes: minutes * MINUTE_US))
_PACES = st.builds(
    Pace,
    st.sampled_from([0, 4 * MINUTE_US]),
    st.sampled_from([0, 3 * MINUTE_US]),
    st.sampled_from([700, 16 * MIB]),
)
PLOTS = st.builds(
    Plot,
    st.lists(st.integers(0, 10), min_size=OBJECTS, max_size=OBJECTS),
    st.lists(st.integers(1, 210), max_size=6, unique=True).map(sorted),
    st.lists(_DEATHS, max_size=2),
    _PACES,
    st.none() | st.tuples(st.integers(0, OBJECTS - 1), st.integers(1, 210)),
)


def straggler_of(bucket: Bucket, plot: Plot) -> Parcel | None:
    """The object that is visible after deadlines which it was delivered before; but not all may (`may_straggle`)."""
    parcel = None if plot.straggler is None else bucket.parcels[plot.straggler[0]]
    return parcel if parcel is not None and parcel.may_straggle else None


def ways(bucket: Bucket, top: Path, plot: Plot) -> Iterator[Way]:
    """A run at the end (undisturbed, it is the fixture's), a watch, and a stream, each with a lake of its own."""
    visible_us = {
        each.path: each.delivered_us + (each.latest_us - each.delivered_us) * tenths // 10
        for each, tenths in zip(bucket.parcels, plot.tenths, strict=True)
    }
    straggler = straggler_of(bucket, plot)
    if straggler is not None and plot.straggler is not None:
        visible_us[straggler.path] = max(straggler.delivered_us, at_us(plot.straggler[1]))
    story = Story(visible_us, [at_us(minutes) for minutes in plot.looks_min], plot.deaths)
    if plot.deaths:
        yield Bounded(bucket.folder, top / "run", story)
    yield Watching(bucket.folder, top / "watch", story)
    yield Streaming(bucket.folder, top / "stream", story, plot.pace)


def undisputed(told: Told, straggler: Parcel | None) -> Told:
    """Without the incidents of canaries of the account whose object was read late.

    What was called missing in good faith is taken back, but it was told, and may be of an incident that goes on.
    """
    if straggler is None:
        return told
    account_id = parse_key(straggler.path).account_id
    account, kind = _SHARED.index("account_id"), _SHARED.index("kind")
    of_canary = {each for each, said in told.alerts.items() if said[kind].startswith("canary.")}
    kept = {each: said for each, said in told.alerts.items() if each not in of_canary or said[account] != account_id}
    return told._replace(alerts=kept)


IN_ORDER = (0,) * OBJECTS
LATEST = (10,) * OBJECTS
A_CALL_JUST_IN_TIME = tuple(9 if number == 9 else 5 for number in range(OBJECTS))
SLOWLY = Pace(4 * MINUTE_US, 3 * MINUTE_US, 700)


@settings(max_examples=5, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
@given(plot=PLOTS)
@example(plot=Plot(IN_ORDER, (25, 60, 95, 120, 150, 190)))
@example(plot=Plot(IN_ORDER, (40,)))  # a long gap: what is heard and what is silent is judged together
@example(plot=Plot(LATEST, (100,), [Death(24, 5 * MINUTE_US)], SLOWLY))  # a committed bundle owes an alert
@example(plot=Plot(IN_ORDER, (40,), [Death(2, 60 * MINUTE_US), Death(2, 5 * MINUTE_US)], SLOWLY))  # nothing committed
@example(plot=Plot(A_CALL_JUST_IN_TIME, (73, 76, 77, 80), [Death(18, 0)], SLOWLY))  # and not in the last listing
@example(plot=Plot(IN_ORDER, (30, 60, 90, 120), straggler=(2, 100)))  # a call that is read after its deadline
def test_three_ways_say_the_same(bucket: Bucket, plot: Plot) -> None:
    """Rows, verdicts, alerts and balance, whatever is visible when, whoever looks when, and whoever dies when."""
    straggler = straggler_of(bucket, plot)
    once = undisputed(bucket.once, straggler)
    with tempfile.TemporaryDirectory() as folder:
        for way in ways(bucket, Path(folder), plot):
            way.live()
            told = undisputed(told_by(way), straggler)
            for name, mine, theirs in zip(Told._fields, told, once, strict=True):
                assert mine == theirs, (type(way).__name__, name)
