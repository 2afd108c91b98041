"""What a job tells its runner's metrics, and the line that a stream logs for each bundle."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline
from apache_beam.transforms.window import TimestampedValue
from archive_worlds import ACCOUNT, REGION, archive, bundle_of, fill, job_of, key, record
from canary_worlds import CANARY, FIRST, GRACE_US, PERIOD_US, PLACE, START_US

from pipeline.bundle_log import archive_logged
from pipeline.graph import Plan, build
from pipeline.lake import read_lake
from pipeline.local_storage import LocalStorage
from pipeline.stream_graph import StreamPlan, build_stream
from schemas.alerts import Alert, Severity, Status
from schemas.balance import BalanceSheet
from schemas.canaries import SlotVerdict, Verdict
from schemas.intake import Offered, Tick
from schemas.keys import Kind
from schemas.objects import Bundle, ObjectRow, ObjectStatus
from schemas.settings import Clock, Config, Settings
from schemas.times import MINUTE_US, SECOND_US, format_us, parse_iso_us
from transforms import metrics
from transforms.bundle_writer import BundleReport, Totals
from transforms.intake import AHEAD_US, TICKS
from transforms.metrics import NAMESPACE, PublishMetrics

NOON_US = parse_iso_us("2026-11-20T12:00:00Z")
OPTIONS = PipelineOptions(["--runner=FnApiRunner"])


def noon() -> int:
    """A clock that stands."""
    return NOON_US


def told(canaries: Any = (), **found: list[Any]) -> tuple[dict[str, int], dict[str, int], dict[str, Any]]:
    """Counters, gauges and distributions of a job that has published elements, by name; none in another namespace."""
    pipeline = test_pipeline.TestPipeline(options=OPTIONS)
    parts = {name: pipeline | name >> beam.Create(each, reshuffle=False) for name, each in found.items()}
    _ = parts | PublishMetrics(canaries, noon)
    return published(pipeline)


def published(pipeline: beam.Pipeline) -> tuple[dict[str, int], dict[str, int], dict[str, Any]]:
    """What a job publishes."""
    result = pipeline.run()
    result.wait_until_finish()
    every = result.metrics().query()
    kinds = [
        {each.key.metric.name: each.committed for each in every[kind] if each.key.metric.namespace == NAMESPACE}
        for kind in ("counters", "gauges", "distributions")
    ]
    return kinds[0], {name: gauge.value for name, gauge in kinds[1].items()}, kinds[2]


def row(account_id: str | None = ACCOUNT, region: str | None = REGION, **changes: Any) -> ObjectRow:
    """An object that was delivered at noon, five minutes after its first event, and taken in a minute later."""
    read = ObjectRow(
        uri="s3://logs/a",
        etag="e",
        size=1,
        version=None,
        kind=Kind.LOG,
        status=ObjectStatus.READ,
        account_id=account_id,
        region=region,
        delivered_us=NOON_US,
        modified_us=NOON_US,
        body_sha256=None,
        records=1,
        archived=1,
        duplicates=0,
        dead=0,
        first_event_us=NOON_US - 5 * MINUTE_US,
        last_event_us=NOON_US,
        changed=False,
        run_id="run",
        handled_us=NOON_US + MINUTE_US,
    )
    return msgspec.structs.replace(read, **changes)


def verdict(index: int, last: int, said: Verdict, **members: Any) -> SlotVerdict:
    """A verdict of slots, counted from the start."""
    return SlotVerdict(PLACE, FIRST + index, FIRST + last, said, **members)


def test_every_count_of_the_sheet_is_a_counter() -> None:
    """And adds up over reports, with dead letters by reason; what is nothing is published as nothing."""
    fields = BalanceSheet.__struct_fields__
    sheet = BalanceSheet(**{name: number for number, name in enumerate(fields) if name != "objects_listed"})
    reports = [
        BundleReport((row(), row()), totals=Totals(sheet, 3, {"not_gzip": 2})),
        BundleReport((row(),), totals=Totals(sheet, 4, {"not_gzip": 1, "too_large": 1})),
    ]
    counters, _, _ = told(reports=reports)
    expected = {name: 2 * number for number, name in enumerate(fields)} | {"objects_listed": 3}
    more = {"bundles": 2, "conflicts": 7, "dead_letters/not_gzip": 3, "dead_letters/too_large": 1}
    assert counters == expected | more
    assert told(reports=[BundleReport()])[0] == dict.fromkeys(fields, 0) | {"bundles": 1, "conflicts": 0}


def test_lags_by_account_and_region() -> None:
    """The largest of a report's objects; what is none of CloudTrail's, or has no event, has no delivery lag."""
    later = row(first_event_us=NOON_US - 10 * MINUTE_US, handled_us=NOON_US + 2 * SECOND_US)
    empty = row(region="eu-west-1", first_event_us=None, last_event_us=None)
    other = row(account_id=None, region=None, kind=Kind.OTHER, first_event_us=0)
    _, gauges, distributions = told(reports=[BundleReport((later, row(), empty, other))])
    assert gauges == {
        f"delivery_lag_s/{ACCOUNT}/{REGION}": 600,
        f"intake_lag_s/{ACCOUNT}/{REGION}": 60,
        f"intake_lag_s/{ACCOUNT}/eu-west-1": 60,
    }
    lag = distributions["all_delivery_lag_s"]
    assert (lag.min, lag.max, lag.count) == (300, 600, 2)
    assert (distributions["all_intake_lag_s"].min, distributions["all_intake_lag_s"].count) == (2, 3)


@pytest.mark.parametrize(
    ("account_id", "region"),
    [
        (None, None),
        (ACCOUNT, None),
        (ACCOUNT, "us-east-1\n"),
        (ACCOUNT, 'us-east-1"} 1\nforged'),
        (ACCOUNT, "us-" + "x" * 500 + "-1"),
        ("1111222233334", REGION),
        ("١١١١٢٢٢٢٣٣٣٣", REGION),
        ("other", "/" * 900),
        ("\udcff", "\0"),
    ],
)
def test_odd_places_share_a_name(account_id: str | None, region: str | None) -> None:
    """No key makes a name of a metric."""
    _, gauges, _ = told(reports=[BundleReport((row(account_id, region),))])
    assert gauges == {"delivery_lag_s/other": 300, "intake_lag_s/other": 60}


def test_names_are_few_and_canaries_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many well-formed places there are, and in whatever order they come."""
    monkeypatch.setattr(metrics, "MOST_PLACES", 3)
    rows = [row(f"{number:012}", first_event_us=NOON_US - number * SECOND_US) for number in range(17)]
    _, gauges, _ = told([CANARY], reports=[BundleReport((*rows, row(PLACE.account_id, PLACE.region)))])
    lags = {name: lag_s for name, lag_s in gauges.items() if name.startswith("delivery_lag_s")}
    places = ("000000000000/us-east-1", "000000000001/us-east-1", "other", f"{PLACE.account_id}/{PLACE.region}")
    assert lags == {f"delivery_lag_s/{place}": lag_s for place, lag_s in zip(places, (0, 1, 16, 300), strict=True)}


def test_places_of_more_canaries_than_names() -> None:
    """A thousand accounts in seventeen regions: as many names as there may be, and no more."""
    accounts, regions = tuple(f"{number:012}" for number in range(1000)), tuple(f"us-east-{n}" for n in range(17))
    canary = msgspec.structs.replace(CANARY, accounts=accounts, regions=regions)
    rows = tuple(row(account_id, region) for account_id in accounts for region in regions)
    counters, gauges, _ = told([canary], reports=[BundleReport(rows)])
    assert counters["objects_listed"] == 17_000
    assert len(gauges) == 2 * (metrics.MOST_PLACES + 1)
    assert gauges["delivery_lag_s/other"] == gauges["delivery_lag_s/000000000000/us-east-16"] == 300


def test_alerts_and_verdicts() -> None:
    """Alerts by kind and status, slots by verdict; only what was judged at its deadline says how late that was."""
    alert = Alert(
        "a", "i", "canary.missing", Status.OPENED, Severity.HIGH, "t", ACCOUNT, REGION, 0, 0, 0, "high"
    )  # fmt: skip
    again = msgspec.structs.replace(alert, status=Status.RESOLVED)
    end = (NOON_US - START_US) // PERIOD_US
    judged = verdict(end - 12, end - 10, Verdict.MISSING)
    late = verdict(0, 0, Verdict.LATE, delivered_us=NOON_US)
    corrected = verdict(1, 1, Verdict.SEEN, prior=Verdict.MISSING)
    counters, gauges, distributions = told(
        [CANARY], reports=[], alerts=[alert, alert, again], verdicts=[judged, late, corrected]
    )
    assert counters == {
        "alerts/canary.missing/opened": 2,
        "alerts/canary.missing/resolved": 1,
        "slots/missing": 3,
        "slots/late": 1,
        "slots/seen": 1,
    }
    lag_s = (9 * PERIOD_US - GRACE_US) // SECOND_US
    assert gauges == {"judgement_lag_s": lag_s}
    lag = distributions["all_judgement_lag_s"]
    assert (lag.min, lag.max, lag.count) == (lag_s, lag_s, 1)


@pytest.mark.parametrize(
    ("since_us", "first_delivery_us", "start_us"),
    [
        (START_US, None, NOON_US - 15 * MINUTE_US),  # due: what ended ten minutes before the stream's clock
        (None, NOON_US - 7 * MINUTE_US, NOON_US - 5 * MINUTE_US),
        (None, None, None),
        (NOON_US + MINUTE_US, None, NOON_US + PERIOD_US),
    ],
)
def test_age_of_the_oldest_unjudged_slot(
    since_us: int | None, first_delivery_us: int | None, start_us: int | None
) -> None:
    """By the stream's clock, which was five minutes behind; from where the canary is expected; never negative."""
    tick = Tick(None, NOON_US - 5 * MINUTE_US + AHEAD_US, first_delivery_us)
    canary = msgspec.structs.replace(CANARY, since_us=since_us)
    later = msgspec.structs.replace(CANARY, name="later", since_us=NOON_US + 9 * PERIOD_US)
    canaries = [canary] if start_us is None else [later, canary]
    _, gauges, _ = told(canaries, reports=[], ticks=[tick])
    assert gauges == (
        {}
        if start_us is None
        else {
            "oldest_unjudged_slot_start_s": start_us // SECOND_US,
            "oldest_unjudged_slot_age_s": max(0, NOON_US - start_us) // SECOND_US,
        }
    )


def test_a_run_publishes_what_its_sheet_says(tmp_path: Path) -> None:
    """The graph of a bounded run, whole: every count of the sheet, as the ledger has it."""
    source = fill(tmp_path / "in", {key(0): [record(1), record(1)], key(1): b"no gzip", "notes.txt": b""})
    lake = LocalStorage(str(tmp_path / "lake"))
    settings = Settings("run-1", (source.root,), lake.root, Clock(NOON_US, NOON_US))
    plan = Plan(settings, (source,), lake, job_of(source, lake).rules, read_lake(lake, settings.config))
    pipeline = test_pipeline.TestPipeline(options=OPTIONS)
    build(pipeline, plan)
    counters, gauges, _ = published(pipeline)
    [path] = (tmp_path / "lake" / "runs").iterdir()
    sheet = json.loads(path.read_bytes())["balance"]
    assert {name: counters[name] for name in sheet} == sheet
    assert (sheet["objects_listed"], sheet["records_duplicate"]) == (3, 1)
    assert counters["dead_letters/not_gzip"] == counters["alerts/ingest.unreadable/opened"] == 1
    assert f"delivery_lag_s/{ACCOUNT}/{REGION}" in gauges


class Taken(beam.PTransform):
    """A bundle that was taken in at noon, and the clock as it was then: what `TakeIn` gives out, but for the end."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        self._elements = [Offered(bundle, again=False, taken_us=NOON_US), Tick(None, NOON_US + AHEAD_US, NOON_US)]

    def expand(self, root: beam.pvalue.PBegin) -> Any:
        """Stamped with noon, and tagged."""
        elements = root | beam.Create([TimestampedValue(each, NOON_US // SECOND_US) for each in self._elements])
        return elements | beam.ParDo(_Tagged()).with_outputs(TICKS, main="bundles")


class _Tagged(beam.DoFn):
    def process(self, element: Offered | Tick) -> Iterator[Any]:
        yield beam.pvalue.TaggedOutput(TICKS, element) if isinstance(element, Tick) else element


def test_a_stream_publishes_and_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The graph of a stream, whole: counts of its bundle, verdicts, alerts, and how far its canary is judged."""
    source = fill(tmp_path / "in", {key(0): [record(1), record(1)], key(1): b"no gzip"})
    lake = LocalStorage(str(tmp_path / "lake"))
    canary = msgspec.structs.replace(CANARY, since_us=NOON_US - 60 * MINUTE_US)
    settings = Settings("stream", (source.root,), lake.root, Clock(NOON_US, None), Config((canary,)))
    plan = Plan(settings, (source,), lake, job_of(source, lake).rules, read_lake(lake, settings.config))
    pipeline = test_pipeline.TestPipeline(options=OPTIONS)
    bundle = bundle_of(source)
    build_stream(pipeline, StreamPlan(plan, Taken(bundle)))
    counters, gauges, distributions = published(pipeline)
    assert (counters["bundles"], counters["objects_listed"], counters["records_duplicate"]) == (1, 2, 1)
    assert counters["dead_letters/not_gzip"] == counters["alerts/ingest.unreadable/opened"] == 1
    assert sum(count for name, count in counters.items() if name.startswith("slots/")) == 10
    assert gauges["oldest_unjudged_slot_start_s"] == (NOON_US - 10 * MINUTE_US) // SECOND_US
    assert f"intake_lag_s/{ACCOUNT}/{REGION}" in gauges
    assert distributions["all_judgement_lag_s"].count == 1  # what was due before the stream began is one verdict
    [line] = [json.loads(each.getMessage()) for each in caplog.records if each.name == "pipeline.bundle_log"]
    assert (line["bundle"], line["run_id"], line["objects"]) == (bundle.name, "stream-2026-11-20T12", 2)


class Ticking:
    """A clock that goes on by a second and a half whenever it is asked."""

    def __init__(self) -> None:
        self._now_us = NOON_US

    def __call__(self) -> int:
        """Now."""
        self._now_us += 3 * SECOND_US // 2
        return self._now_us


def test_a_line_for_each_bundle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Names, counts and lengths of time: these members, and nothing of what objects or events hold."""
    secret = {"sourceIPAddress": "192.0.2.77", "userAgent": "secret-agent", "eventName": "SecretCall"}
    objects = {key(9): [record(1, **secret), record(1, **secret)], key(1): b"no gzip", "secret-notes.txt": b"x"}
    source = fill(tmp_path / "in", objects)
    bundle = bundle_of(source)
    delivered_us = max(ref.delivered_us for ref in bundle.refs if ref.kind is Kind.LOG)
    job = job_of(source, LocalStorage(str(tmp_path / "lake")), now_us=delivered_us + MINUTE_US, run_id="stream-1")
    report = archive_logged(job, bundle, Ticking())
    [logged] = caplog.records
    assert (logged.name, logged.levelno) == ("pipeline.bundle_log", logging.INFO)
    assert json.loads(logged.getMessage()) == {
        "at": format_us(NOON_US + 3 * SECOND_US),
        "event": "bundle",
        "run_id": "stream-1",
        "took_s": 1.5,
        "bundle": bundle.name,
        "objects": 3,
        "bytes": sum(ref.size for ref in bundle.refs),
        "objects_read": 1,
        "objects_dead": 1,
        "objects_not_logs": 1,
        "records_read": 2,
        "records_archived": 1,
        "records_duplicate": 1,
        "rows_written": 1,
        "sightings": 0,
        "findings": 0,
        "dead_letters": {"not_gzip": 1},
        "delivery_lag_s": 540.0,
        "intake_lag_s": 540.0,
    }
    assert report.totals.balance.records_archived == 1
    assert [word for word in ("ecret", "192.0.2.77", "AWSLogs", ACCOUNT) if word in logged.getMessage()] == []


@pytest.mark.parametrize("handlers", [[], [logging.StreamHandler]])
def test_a_worker_whose_logs_nobody_collects_writes_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], handlers: list[type[logging.Handler]]
) -> None:
    """Beam's worker pool sets no logging up: the line goes to standard error, once and as it is, for each bundle."""
    source = fill(tmp_path / "in", {key(0): [record(1)]})
    job = job_of(source, LocalStorage(str(tmp_path / "lake")))
    log, root = logging.getLogger("pipeline.bundle_log"), logging.getLogger()
    before, root.handlers = root.handlers, [make() for make in handlers]
    try:
        archive_logged(job, bundle_of(source))
        archive_logged(job, bundle_of(source))
    finally:
        root.handlers, log.handlers, log.propagate = before, [], True
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["bundle", "bundle"]


def test_a_level_that_was_chosen_holds(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`--sdk_harness_log_level_overrides` silences the lines."""
    source = fill(tmp_path / "in", {key(0): [record(1)]})
    with caplog.at_level(logging.WARNING, "pipeline.bundle_log"):
        archive_logged(job_of(source, LocalStorage(str(tmp_path / "lake"))), bundle_of(source))
    assert caplog.records == []


def test_the_report_is_that_of_the_bundle(tmp_path: Path) -> None:
    """Logging changes nothing of what is archived."""
    objects = {key(0): [record(1)], key(1): b"no gzip"}
    source = fill(tmp_path / "in", objects)
    logged = archive_logged(job_of(source, LocalStorage(str(tmp_path / "logged"))), bundle_of(source))
    assert logged == archive(tmp_path, objects)


def test_every_metric_is_documented() -> None:
    """By its name, with capitals for what differs."""
    text = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text("utf-8")
    lags = {"delivery_lag_s/ACCOUNT/REGION", "intake_lag_s/ACCOUNT/REGION", "judgement_lag_s"}
    more = {"bundles", "conflicts", "dead_letters/REASON", "alerts/KIND/STATUS", "slots/VERDICT"}
    slots = {"oldest_unjudged_slot_start_s", "oldest_unjudged_slot_age_s"}
    distributions = {"all_delivery_lag_s", "all_intake_lag_s", "all_judgement_lag_s"}
    names = {*BalanceSheet.__struct_fields__, *lags, *more, *slots, *distributions}
    assert sorted(name for name in names if f"`{name}`" not in text) == []
    assert f"{metrics.MOST_PLACES:,} places" in text
