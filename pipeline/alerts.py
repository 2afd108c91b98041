"""A lake's alerts: reading those of earlier runs, writing those that the lake does not have."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schemas.alerts import Alert, content_id
from schemas.errors import LakeDamaged
from schemas.storage import Storage
from transforms.alert_encoding import alert_from_json, alerts_avro, alerts_jsonl

FOLDER = "alerts/"


def read_alerts(storage: Storage) -> list[Alert]:
    """Every alert that the lake holds, file by file in name order.

    Raises:
        LakeDamaged: a line is no alert; the message names file and line.
        StorageError: a file could not be read.
    """
    paths = sorted(stat.path for stat in storage.list(FOLDER) if stat.path.endswith(".jsonl"))
    return [alert for path in paths for alert in _read(storage, path)]


def write_alerts(storage: Storage, name: str, alerts: Iterable[Alert]) -> list[Alert]:
    """Write the alerts whose `alert_id` the lake lacks, as `write_fresh` does; return them."""
    known = {alert.alert_id for alert in read_alerts(storage)}
    return write_fresh(storage, name, (alert for alert in alerts if alert.alert_id not in known))


def write_fresh(storage: Storage, name: str, alerts: Iterable[Alert]) -> list[Alert]:
    """Write alerts that the lake lacks; return them, each once, sorted by window start, kind and id.

    They go to `alerts/<name>-<hash of the ids>.avro` and `.jsonl`; no file where nothing is new. The JSON comes
    last, because it is what the next run reads: a run killed between the two writes both again.
    """
    fresh = {alert.alert_id: alert for alert in alerts}
    ordered = sorted(fresh.values(), key=lambda alert: (alert.window_start_us, alert.kind, alert.alert_id))
    if ordered:
        write_pair(storage, f"{name}-{content_id(*(alert.alert_id for alert in ordered))[:12]}", ordered)
    return ordered


def write_pair(storage: Storage, name: str, alerts: Sequence[Alert]) -> None:
    """Write `alerts/<name>.avro`, then `.jsonl`: who is killed between the two writes both again."""
    storage.write(f"{FOLDER}{name}.avro", alerts_avro(alerts))
    storage.write(f"{FOLDER}{name}.jsonl", alerts_jsonl(alerts))


def _read(storage: Storage, path: str) -> list[Alert]:
    alerts = []
    for number, line in enumerate(storage.read(path).body.splitlines(), start=1):
        try:
            alerts.append(alert_from_json(line))
        except ValueError as error:
            raise LakeDamaged(f"{storage.root}/{path}, line {number}: not an alert: {error}") from error
    return alerts
