"""The runbooks: every alert leads to a section, and every query in it runs."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from small_lakes import ACCOUNT, NOON_US, REGION, write_whole_lake

from pipeline.local_storage import LocalStorage
from pipeline.query import run_query
from schemas.alerts import Severity
from schemas.dead_letters import DeadLetter, Reason
from schemas.tampering import Tampering
from schemas.trails import Ownership
from transforms.dead_letter_file import encode_dead_letters
from transforms.modifications import alerts_of
from transforms.sightings import ALLOWED, FORGED, REPLAYED

ROOT = Path(__file__).parent.parent
RUNBOOKS = ROOT / "docs" / "runbooks.md"
TEXT = RUNBOOKS.read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.*)\n((?:(?!^## ).*\n?)*)", TEXT, re.MULTILINE))
QUERIES = [
    pytest.param(sql, id=f"{heading}-{number}")
    for heading, section in SECTIONS.items()
    for number, sql in enumerate(re.findall(r"^```sql\n(.*?)^```$", section, re.MULTILINE | re.DOTALL))
]
PARTS = ("What it means", "How sure", "Check first", "What to do", "When it ends")


def anchor(heading: str) -> str:
    """The anchor that a forge gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def tampering(scope: str, *, succeeded: bool) -> Tampering:
    """What a rule of some scope found."""
    return Tampering(
        rule="some_rule",
        rule_title="Something happened",
        scope=scope,
        severity=Severity.HIGH,
        succeeded=succeeded,
        event_id="event-1",
        event_name="StopLogging",
        event_us=NOON_US,
        delivered_us=NOON_US,
        account_id=ACCOUNT,
        region=REGION,
        resource=None,
        ownership=Ownership.UNKNOWN,
        actor=None,
        error_code=None if succeeded else "AccessDenied",
        object_key="in/a.json.gz",
        mitre=(),
    )


def written_anchors() -> set[str]:
    """Anchors that stand in the transforms' source as they are."""
    sources = [path.read_text("utf-8") for path in (ROOT / "transforms").rglob("*.py")]
    return {name for source in sources for name in re.findall(r"docs/runbooks\.md#([a-z-]+)", source)}


def made_anchors() -> set[str]:
    """Anchors that alerts of rules get, of every scope, for what succeeded and what did not; and those of canaries."""
    found = [
        tampering(scope, succeeded=succeeded) for scope in ("trail", "watcher", "rule") for succeeded in (True, False)
    ]
    found += [
        msgspec.structs.replace(tampering("canary", succeeded=False), rule=kind, canary="c")
        for kind in (FORGED, REPLAYED, ALLOWED)
    ]
    alerts = [alert for each in found for alert in alerts_of([each], known=False)]
    return {(alert.runbook or "").removeprefix("docs/runbooks.md#") for alert in alerts}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    """A lake with a file of every kind, dead letters too."""
    lake = LocalStorage(str(tmp_path_factory.mktemp("lake")))
    write_whole_lake(lake)
    letter = DeadLetter("in", "a.json.gz", "e", 3, NOON_US, None, Reason.NOT_GZIP, "3 bytes", b"abc", 3, "", "run-1")
    lake.write("dead_letters/bundle.avro", encode_dead_letters([letter]))
    return lake


def test_every_alert_has_a_runbook() -> None:
    """An alert's `runbook` is a heading of the document, and no section stands there for nothing."""
    raised = written_anchors() | made_anchors()
    assert {"canary-missing", "trail-tampered", "rule-attempted", "ingest-unreadable"} <= raised
    assert {anchor(heading) for heading in SECTIONS} == raised


@pytest.mark.parametrize("heading", SECTIONS)
def test_section_says_everything(heading: str) -> None:
    """A section names its kind, answers the same five questions in order, and has a query."""
    section = SECTIONS[heading]
    first, _, rest = anchor(heading).partition("-")
    assert f"`{first}.{rest.replace('-', '_')}` · " in section
    positions = [section.find(f"**{part}") for part in PARTS]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert "```sql" in section


@pytest.mark.parametrize("sql", QUERIES)
def test_query_runs(lake: LocalStorage, sql: str) -> None:
    """A query is answered as it stands."""
    out = io.StringIO()
    run_query(lake, sql, "json", out)
    assert isinstance(json.loads(out.getvalue()), list)
