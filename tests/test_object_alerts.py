"""Alerts about the objects themselves."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
import msgspec
from apache_beam.testing import test_pipeline
from apache_beam.testing.util import assert_that

from schemas.alerts import Alert, Severity
from schemas.keys import Kind
from schemas.objects import ObjectRow, ObjectStatus
from schemas.times import DAY_US
from transforms.object_alerts import DetectObjectFaults, object_changed, unreadable

ROW = ObjectRow(
    uri="in/a.json.gz",
    etag="e1",
    size=10,
    version=None,
    kind=Kind.LOG,
    status=ObjectStatus.READ,
    account_id="111122223333",
    region="us-east-1",
    delivered_us=5,
    modified_us=9,
    body_sha256=None,
    records=1,
    archived=1,
    duplicates=0,
    dead=0,
    first_event_us=None,
    last_event_us=None,
    changed=False,
    run_id="run-1",
    handled_us=0,
)


def row(**fields: Any) -> ObjectRow:
    """A row of a log object."""
    return msgspec.structs.replace(ROW, **fields)


def test_each_changed_object_is_an_alert() -> None:
    """Overwritten with other records: high. With the same ones: medium, and it says so."""
    changed = row(changed=True)
    same = row(changed=True, uri="in/b.json.gz", status=ObjectStatus.UNCHANGED)
    assert object_changed(changed).severity is Severity.HIGH
    assert (object_changed(same).severity, "same records" in object_changed(same).title) == (Severity.MEDIUM, True)
    assert object_changed(changed).evidence.object_keys == ("in/a.json.gz",)


def test_ids_follow_from_content() -> None:
    """A replay says the same; another version of the object is another alert of the same incident."""
    first, again = object_changed(row(changed=True)), object_changed(row(changed=True, run_id="run-2", handled_us=7))
    other = object_changed(row(changed=True, etag="e2"))
    assert first == again
    assert (first.incident_id, first.alert_id != other.alert_id) == (other.incident_id, True)
    assert unreadable(row(run_id="run-2")) == unreadable(row())
    assert unreadable(row(region="eu-west-1")).incident_id != unreadable(row()).incident_id
    assert unreadable(row(region=None)).incident_id != unreadable(row(account_id=None)).incident_id


def test_detection_picks_changed_and_dead_ones() -> None:
    """One alert for each changed object, one for all that a place lost in a day, none for what was read."""
    dead = [row(uri=f"in/{n}.json.gz", status=ObjectStatus.DEAD, delivered_us=9 - n) for n in range(3)]
    next_day = row(uri="in/next.json.gz", status=ObjectStatus.DEAD, delivered_us=DAY_US)
    elsewhere = row(uri="in/else.json.gz", status=ObjectStatus.DEAD, region="eu-west-1")
    changed = [row(changed=True), row(changed=True, uri="in/b.json.gz"), row(changed=True, etag="e2")]
    both = row(changed=True, uri="in/c.json.gz", status=ObjectStatus.DEAD, region="eu-west-2")
    expected = [unreadable(each) for each in (dead[2], next_day, elsewhere, both)]
    expected += [object_changed(each) for each in (*changed, both)]

    def check(alerts: list[Alert]) -> None:
        assert sorted(alerts, key=repr) == sorted(expected, key=repr)

    with test_pipeline.TestPipeline("FnApiRunner") as root:
        rows = root | beam.Create([row(uri="in/read.json.gz"), *dead, next_day, elsewhere, *changed, both, changed[0]])
        assert_that(rows | DetectObjectFaults(), check)
