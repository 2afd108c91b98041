"""The alerts on a terminal."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alert_table import print_alerts, printable
from schemas.alerts import Alert, Severity, Status
from schemas.times import HOUR_US, MINUTE_US, parse_iso_us

START_US = parse_iso_us("2026-11-24T10:05:00Z")
OPENED = Alert(
    alert_id="a1",
    incident_id="i1",
    kind="canary.missing",
    status=Status.OPENED,
    severity=Severity.CRITICAL,
    title="111122223333 is blind in ap-southeast-1: canary dry-run-instances is missing since 10:05",
    account_id="111122223333",
    region="ap-southeast-1",
    window_start_us=START_US,
    window_end_us=START_US + 5 * MINUTE_US,
    detected_us=START_US + 20 * MINUTE_US,
    confidence="provisional",
    runbook="docs/runbooks/canary-missing.md",
)
RESOLVED = msgspec.structs.replace(
    OPENED,
    alert_id="a2",
    status=Status.RESOLVED,
    severity=Severity.INFO,
    window_end_us=START_US + HOUR_US + 15 * MINUTE_US,
    detected_us=START_US + 2 * HOUR_US,
)


def shown(*alerts: Alert, width: int = 80) -> str:
    """What `print_alerts` prints into a pipe of that width."""
    out = io.StringIO()
    print_alerts(alerts, "No alerts. Judged 12 canary slots.", out, width)
    return out.getvalue()


def test_no_alerts_is_one_line() -> None:
    """A quiet run prints the caller's sentence and nothing else."""
    assert shown() == "No alerts. Judged 12 canary slots.\n"


@pytest.mark.parametrize("width", [80, 120])
def test_essentials_are_whole(width: int) -> None:
    """Severity, kind, account, region and time are there, uncut and unbroken, within the width, without colour."""
    text = shown(OPENED, width=width)
    for part in ("CRITICAL", "canary.missing", "111122223333 ap-southeast-1", "since 2026-11-24 10:05, open"):
        assert part in text
    assert "next: docs/runbooks/canary-missing.md" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert "\x1b" not in text
    words = OPENED.title.split()
    assert [word for word in re.sub(r"CRITICAL|\n", " ", text).split() if word in words][: len(words)] == words


def test_opened_and_resolved_is_one_entry() -> None:
    """An incident that came and went within the run is one entry, of its worst severity and its whole time."""
    text = shown(RESOLVED, OPENED)
    assert text.count("111122223333 ap-southeast-1") == 1
    assert "2026-11-24 10:05–11:20 (1h 15m), resolved" in text
    assert text.startswith("1 incident: 1 critical.")


def test_worst_comes_first_then_oldest() -> None:
    """Entries are ordered by severity, and by time within one."""
    high = msgspec.structs.replace(OPENED, incident_id="i2", severity=Severity.HIGH, title="second", window_start_us=0)
    newer = msgspec.structs.replace(OPENED, incident_id="i3", title="newer", window_start_us=START_US + 1)
    older = msgspec.structs.replace(OPENED, incident_id="i4", title="older", window_start_us=START_US - 1)
    text = shown(high, newer, older)
    assert text.index("older") < text.index("newer") < text.index("second")


def test_low_and_info_are_counted() -> None:
    """Low and info alerts are one line, and a run with nothing else says so."""
    low = [
        msgspec.structs.replace(OPENED, incident_id=f"low{n}", severity=Severity(n % 2), title="noise")
        for n in range(12)
    ]
    text = shown(OPENED, *low)
    assert "12 low and info alerts not shown; see `trailcanary query`" in text
    assert "noise" not in text
    assert shown(low[0]).splitlines()[0] == "No alert of medium severity or above."


def test_suppressed_alerts_are_counted() -> None:
    """What does not page is one line with its count and how to see it; who suppressed it says how much that is."""
    quiet = [
        msgspec.structs.replace(OPENED, alert_id=f"q{n}", incident_id=f"quiet{n}", title="noise", suppressed_by="i1")
        for n in range(3)
    ]
    maintained = msgspec.structs.replace(
        OPENED, alert_id="m", incident_id="m", title="at work", suppressed_by="maintenance:move"
    )
    text = shown(OPENED, *quiet, maintained)
    assert text.startswith("1 incident: 1 critical.")
    assert "and 3 more alerts because of it" in text
    flat = " ".join(text.split())
    assert flat.endswith(
        '4 suppressed alerts not shown; see `trailcanary query` with "FROM alerts WHERE suppressed_by IS NOT NULL"'
    )
    assert "noise" not in text
    assert "at work" not in text


def test_what_paged_and_ended_quietly_is_shown_as_ended() -> None:
    """An incident is shown for any alert of its that pages, and in the state that all its alerts left it in."""
    text = shown(OPENED, msgspec.structs.replace(RESOLVED, suppressed_by="i2"))
    assert "2026-11-24 10:05–11:20 (1h 15m), resolved" in text
    assert "1 suppressed alert not shown" in text


def test_moment_and_other_days() -> None:
    """A window without length is one time; an end on another day carries its date."""
    moment = shown(msgspec.structs.replace(OPENED, window_end_us=START_US))
    assert "since 2026" not in moment
    assert "2026-11-24 10:05, open" in moment
    days = msgspec.structs.replace(RESOLVED, window_end_us=START_US + 50 * HOUR_US)
    assert "2026-11-24 10:05–2026-11-26 12:05 (2d 2h)" in shown(OPENED, days)


def test_hostile_text_is_escaped() -> None:
    """Escape sequences, line breaks, reordering and markup from events arrive as plain visible text."""
    hostile = msgspec.structs.replace(OPENED, title="\x1b[2J\r\n\u202egnp [red]x[/red] \ud800", account_id=None)
    text = shown(hostile)
    assert "\\x1b[2J\\x0d\\x0a\\u202egnp [red]x[/red] \\ud800" in text
    assert "          ap-southeast-1 · canary.missing" in text


@given(st.text(st.characters(), max_size=600))
def test_printable_text_is_printable(text: str) -> None:
    """Whatever the text, no control, format or surrogate character is left, and its length is bounded."""
    safe = printable(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", safe)
    assert len(safe) <= 10 * 410
