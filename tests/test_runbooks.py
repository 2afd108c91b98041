"""The runbooks: every kind of alert has a page, every page a kind, and every query on it runs."""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_lakes import ACCOUNT, NOON_US, REGION, write_whole_lake

from pipeline.local_storage import LocalStorage
from pipeline.query import run_query
from schemas.alerts import Severity
from schemas.dead_letters import DeadLetter, Reason
from schemas.runbooks import runbook_of
from schemas.tampering import Tampering
from schemas.trails import Ownership
from transforms.dead_letter_file import encode_dead_letters
from transforms.modifications import alerts_of

ROOT = Path(__file__).parent.parent
INDEX = ROOT / "docs" / "runbooks.md"
PAGES = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in sorted(ROOT.glob("docs/runbooks/*"))}
SQL = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUERIES = [
    pytest.param(sql, id=f"{Path(name).stem}-{number}")
    for name, page in PAGES.items()
    for number, sql in enumerate(SQL.findall(page))
]
PARTS = ("What it means", "How sure", "Check first", "What to do", "When it ends")
KIND = re.compile(r"(canary|trail|watcher|rule|ingest|digest)\.[a-z_]+")


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


def texts_of(path: Path) -> Iterator[str]:
    """Every text in a source file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def written_kinds() -> set[str]:
    """Kinds that stand in the source of the job as they are."""
    sources = (path for floor in ("schemas", "transforms", "pipeline") for path in (ROOT / floor).rglob("*.py"))
    return {text for path in sources for text in texts_of(path) if KIND.fullmatch(text)}


def made_kinds() -> set[str]:
    """Kinds that alerts of rules get, of every scope, for what succeeded and what did not."""
    found = [
        tampering(scope, succeeded=succeeded) for scope in ("trail", "watcher", "rule") for succeeded in (True, False)
    ]
    alerts = [alert for each in found for alert in alerts_of([each], known=False)]
    assert all(alert.runbook == runbook_of(alert.kind) for alert in alerts)
    return {alert.kind for alert in alerts}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LocalStorage:
    """A lake with a file of every kind, dead letters too."""
    lake = LocalStorage(str(tmp_path_factory.mktemp("lake")))
    write_whole_lake(lake)
    letter = DeadLetter("in", "a.json.gz", "e", 3, NOON_US, None, Reason.NOT_GZIP, "3 bytes", b"abc", 3, "", "run-1")
    lake.write("dead_letters/bundle.avro", encode_dead_letters([letter]))
    return lake


def test_every_kind_has_a_page_and_every_page_a_kind() -> None:
    """No alert leads nowhere, and no page waits for an alert that nothing raises."""
    raised = written_kinds() | made_kinds()
    assert {"canary.missing", "trail.tampered", "rule.attempted", "ingest.stalled"} <= raised
    assert PAGES.keys() == {runbook_of(kind) for kind in raised}


def test_alerts_name_their_page_in_one_way() -> None:
    """No path of a page is written out in the code: `runbook_of` makes them all."""
    sources = [path for floor in ("transforms", "pipeline") for path in (ROOT / floor).rglob("*.py")]
    assert [path.name for path in sources if any("docs/runbooks" in text for text in texts_of(path))] == []


def test_index_lists_every_page() -> None:
    """`docs/runbooks.md` leads to each page, by its kind, with the severity and confidence that the page names."""
    rows = re.findall(r"^\| \[(`[^`]+`)\]\(([^)]+)\) \| (.*?) \| (.*?) \|$", INDEX.read_text("utf-8"), re.MULTILINE)
    listed = {f"docs/{link}": f"{kind} · {severity} · {confidence}" for kind, link, severity, confidence in rows}
    assert listed == {name: page.split("\n")[2] for name, page in PAGES.items()}


@pytest.mark.parametrize("name", PAGES)
def test_page_says_everything(name: str) -> None:
    """A page is called by its kind, answers the same five questions in order, and has a query."""
    heading, _, facts, *_ = PAGES[name].split("\n")
    kind = facts.split("`")[1]
    assert runbook_of(kind) == name
    assert heading.removeprefix("# ").lower() == re.sub("[._]", " ", kind)
    positions = [PAGES[name].find(f"**{part}") for part in PARTS]
    assert -1 not in positions
    assert positions == sorted(positions)
    assert SQL.search(PAGES[name])


@pytest.mark.parametrize("sql", QUERIES)
def test_query_runs(lake: LocalStorage, sql: str) -> None:
    """A query is answered as it stands."""
    out = io.StringIO()
    run_query(lake, sql, "json", out)
    assert isinstance(json.loads(out.getvalue()), list)
