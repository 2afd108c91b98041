"""`trailcanary rules`: every rule is listed and counted, on any terminal."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.__main__ import main
from pipeline.rule_files import load_rules
from pipeline.rule_table import print_rules
from transforms.rules import builtin_rules
from transforms.sigma import Rule, parse_rules

RULE = """
title: {title}
level: {level}
tags: [attack.t1562.008, attack.t1685.002]
logsource: {{product: aws, service: cloudtrail}}
detection:
    call: {call}
    condition: call
"""


def rules(**calls: str) -> tuple[Rule, ...]:
    """A rule for each name, with the selection given."""
    texts = {f"{name}.yml": RULE.format(title=name, level="high", call=call) for name, call in calls.items()}
    return parse_rules(texts).rules


def printed(some: tuple[Rule, ...], width: int = 140) -> str:
    """What is printed on a terminal of that width."""
    out = io.StringIO()
    print_rules(some, out, as_json=False, width=width)
    return out.getvalue()


def listed(some: tuple[Rule, ...]) -> dict[str, Any]:
    """The same as JSON."""
    out = io.StringIO()
    print_rules(some, out, as_json=True)
    found: dict[str, Any] = orjson.loads(out.getvalue())
    return found


SOME = rules(
    stopped="{eventSource: cloudtrail.amazonaws.com, eventName: [StopLogging, DeleteTrail]}",
    put="{eventSource: [s3.amazonaws.com, s3-outposts.amazonaws.com], eventName|startswith: PutBucket}",
    root="{userIdentity.type: Root}",
)


def test_a_rule_tells_what_it_is_about() -> None:
    """Level, scope, name, service, events and techniques stand in one line on a wide terminal."""
    (line,) = (line for line in printed(SOME).splitlines() if "stopped" in line)
    assert line.split() == [
        *("high", "rule", "stopped", "cloudtrail", "DeleteTrail,", "StopLogging", "T1562.008,", "T1685.002")
    ]
    (root,) = (line for line in printed(SOME).splitlines() if "root" in line)
    assert root.split()[2:5] == ["root", "any", "any"]


@pytest.mark.parametrize("width", [30, 79, 80, 119, 120, 200])
def test_every_width_shows_every_rule(width: int) -> None:
    """Nothing is cut and no line is wider than the terminal; folded names are whole when put together again."""
    text = printed(SOME, width)
    assert max(map(len, text.splitlines())) <= width
    together = "".join(text.split())
    for wanted in ("stopped", "PutBucket*", "DeleteTrail", "s3-outposts", "T1685.002", "3rules:3rule;3high"):
        assert wanted in together


def test_counts_by_service_and_technique() -> None:
    """A rule counts for each of its services and techniques, and names of calls once."""
    found = listed(SOME)
    assert found["services"] == [
        {"event_source": "any", "rules": 1, "event_names": 0},
        {"event_source": "cloudtrail.amazonaws.com", "rules": 1, "event_names": 2},
        {"event_source": "s3-outposts.amazonaws.com", "rules": 1, "event_names": 1},
        {"event_source": "s3.amazonaws.com", "rules": 1, "event_names": 1},
    ]
    assert found["techniques"] == [{"technique": name, "rules": 3} for name in ("T1562.008", "T1685.002")]
    assert found["rules"][2] == {
        "name": "stopped",
        "title": "stopped",
        "id": None,
        "level": "high",
        "scope": "rule",
        "category": None,
        "event_sources": ["cloudtrail.amazonaws.com"],
        "event_names": ["DeleteTrail", "StopLogging"],
        "mitre": ["T1562.008", "T1685.002"],
    }


def test_shipped_rules_are_all_listed() -> None:
    """A shipped rule names service and calls, or is about every record; techniques have both of their numbers."""
    found = listed(load_rules(()).rules)
    assert {rule["name"] for rule in found["rules"]} == builtin_rules().keys()
    assert [rule["name"] for rule in found["rules"] if bool(rule["event_sources"]) != bool(rule["event_names"])] == []
    counts = {row["technique"]: row["rules"] for row in found["techniques"]}
    assert counts["T1562.008"] == counts["T1685.002"] > 0


def test_rules_of_a_folder_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules of a folder are listed too, and cannot write to the terminal what they please."""
    hostile = RULE.format(title="x", level="low", call='{eventName: "Stop\\e[31m\\u202eLogging"}')
    (tmp_path / "mine.yml").write_text(hostile)
    assert main(["rules", "--rules", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "mine" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_bad_rules_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule that cannot be evaluated is a problem in one line, not a traceback, and nothing is listed."""
    (tmp_path / "bad.yml").write_text(RULE.format(title="x", level="low", call="{eventName|approximately: x}"))
    assert main(["rules", "--rules", str(tmp_path), "--rules", str(tmp_path)]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith(f"trailcanary: {tmp_path}/bad.yml: ")
    assert len(seen.err.splitlines()) == 1
    assert main(["rules", "--rules", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
