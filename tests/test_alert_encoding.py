"""Alerts as JSON and Avro, and how a lake keeps them."""

from __future__ import annotations

import copy
import io
from pathlib import Path

import fastavro
import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alerts import read_alerts, write_alerts
from pipeline.local_storage import LocalStorage
from schemas.alerts import ALERT_AVRO, Alert, Evidence, Severity, Status
from schemas.errors import LakeDamaged
from schemas.times import parse_iso_us
from transforms.alert_encoding import alert_from_json, alert_json, alerts_avro

CONTRACT = [
    *("alert_id", "incident_id", "kind", "status", "severity", "title", "account_id", "region", "window_start"),
    *("window_end", "detected_at", "confidence", "canary", "rule", "actor", "resource", "evidence", "mitre", "runbook"),
    "suppressed_by",
]
EARLIEST_US, LATEST_US = parse_iso_us("0001-01-01T00:00:00Z"), parse_iso_us("9999-12-31T23:59:59.999999Z")

any_text = st.text(st.characters(codec="utf-8"))
any_time = st.integers(EARLIEST_US, LATEST_US)
any_texts = st.lists(any_text, max_size=3).map(tuple)
any_optional = st.none() | any_text
alerts = st.builds(
    Alert,
    alert_id=any_text,
    incident_id=any_text,
    kind=any_text,
    title=any_text,
    confidence=any_text,
    status=st.sampled_from(Status),
    severity=st.sampled_from(Severity),
    window_start_us=any_time,
    window_end_us=any_time,
    detected_us=any_time,
    **dict.fromkeys(
        ("account_id", "region", "canary", "rule", "actor", "resource", "runbook", "suppressed_by"), any_optional
    ),
    evidence=st.builds(Evidence, event_ids=any_texts, object_keys=any_texts, places=any_texts),
    mitre=any_texts,
)

BLIND = Alert(
    alert_id="a1",
    incident_id="i1",
    kind="canary.missing",
    status=Status.OPENED,
    severity=Severity.CRITICAL,
    title="Canary dry-run is silent",
    account_id="111122223333",
    region="us-east-1",
    window_start_us=parse_iso_us("2026-11-24T10:05:00Z"),
    window_end_us=parse_iso_us("2026-11-24T11:20:00.5Z"),
    detected_us=parse_iso_us("2026-11-24T11:35:00Z"),
    confidence="provisional",
)


@given(alerts)
def test_json_gives_the_alert_back(alert: Alert) -> None:
    """Writing an alert as JSON and reading it loses nothing, whatever its texts hold."""
    line = alert_json(alert)
    assert b"\n" not in line
    assert alert_from_json(line) == alert


@given(st.lists(alerts, max_size=3))
def test_avro_and_json_say_the_same(some: list[Alert]) -> None:
    """The Avro file holds the very objects of the JSON lines, and equal alerts give equal bytes."""
    body = alerts_avro(some)
    assert list(fastavro.reader(io.BytesIO(body))) == [orjson.loads(alert_json(alert)) for alert in some]
    assert alerts_avro(list(some)) == body


def test_fields_stand_in_contract_order() -> None:
    """JSON and Avro have the contract's fields in its order, nulls included, times in ISO 8601 UTC."""
    fields = orjson.loads(alert_json(BLIND))
    assert list(fields) == CONTRACT == [field["name"] for field in ALERT_AVRO["fields"]]
    assert fields["severity"] == "critical"
    assert fields["window_end"] == "2026-11-24T11:20:00.500000Z"
    assert fields["actor"] is None


def test_half_surrogates_are_replaced() -> None:
    """Half a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD; a whole pair becomes its character."""
    alert = msgspec.structs.replace(BLIND, title="\ud83d \ud83d\ude00", mitre=("\udc00",))
    read = alert_from_json(alert_json(alert))
    assert (read.title, read.mitre) == ("\ufffd \U0001f600", ("\ufffd",))


def test_alerts_of_before_suppression_are_read() -> None:
    """A line without `suppressed_by`, as lakes had it before there was such a thing, is an alert that pages."""
    line = alert_json(BLIND).replace(b',"suppressed_by":null', b"").replace(b',"places":[]', b"")
    assert b"suppressed_by" not in line
    assert b"places" not in line
    assert alert_from_json(line) == BLIND
    old = copy.deepcopy({**ALERT_AVRO, "fields": ALERT_AVRO["fields"][:-1]})
    (evidence,) = (field["type"] for field in old["fields"] if field["name"] == "evidence")
    evidence["fields"].pop()
    body = io.BytesIO()
    fastavro.writer(body, old, [orjson.loads(line)])
    assert list(fastavro.reader(io.BytesIO(body.getvalue()), ALERT_AVRO)) == [orjson.loads(alert_json(BLIND))]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b'{"alert_id": "a1"',
        alert_json(BLIND).replace(b'"opened"', b'"ajar"'),
        alert_json(BLIND).replace(b'"critical"', b'"CRITICAL"'),
        alert_json(BLIND).replace(b'"2026-11-24T10:05:00Z"', b'"yesterday"'),
        alert_json(BLIND).replace(b'"title":"Canary dry-run is silent"', b'"title":7'),
    ],
)
def test_damaged_lines_are_refused(line: bytes) -> None:
    """What is no alert is a ValueError, never half an alert."""
    with pytest.raises(ValueError, match=r"."):
        alert_from_json(line)


def test_only_new_alerts_are_written(tmp_path: Path) -> None:
    """Alerts that the lake holds are not written again; new ones come in order of time, then kind, then id."""
    storage = LocalStorage(str(tmp_path))
    later = msgspec.structs.replace(BLIND, alert_id="a2", window_start_us=BLIND.window_start_us + 1)
    other = msgspec.structs.replace(BLIND, alert_id="a0", kind="trail.tampered")
    assert write_alerts(storage, "run-1", [BLIND]) == [BLIND]
    assert write_alerts(storage, "run-2", [later, BLIND, other, later]) == [other, later]
    assert write_alerts(storage, "run-3", [BLIND, other]) == []
    assert sorted(alert.alert_id for alert in read_alerts(storage)) == ["a0", "a1", "a2"]
    names = sorted(path.name.split("-")[1] for path in (tmp_path / "alerts").iterdir())
    assert names == ["1", "1", "2", "2"]


def test_same_name_keeps_earlier_alerts(tmp_path: Path) -> None:
    """Writing twice under one name adds, it never replaces."""
    storage = LocalStorage(str(tmp_path))
    other = msgspec.structs.replace(BLIND, alert_id="a2")
    write_alerts(storage, "run", [BLIND])
    write_alerts(storage, "run", [other])
    assert {alert.alert_id for alert in read_alerts(storage)} == {"a1", "a2"}


def test_no_alerts_no_files(tmp_path: Path) -> None:
    """A run without alerts writes nothing, and a lake without alerts reads as none."""
    storage = LocalStorage(str(tmp_path))
    assert write_alerts(storage, "run", []) == []
    assert read_alerts(storage) == []
    assert list(tmp_path.rglob("*")) == []


def test_damaged_file_is_named(tmp_path: Path) -> None:
    """A damaged line stops the reading, and the error says which file and line."""
    storage = LocalStorage(str(tmp_path))
    storage.write("alerts/bad.jsonl", alert_json(BLIND) + b"\n{oops\n")
    with pytest.raises(LakeDamaged, match=r"alerts/bad\.jsonl, line 2"):
        read_alerts(storage)
