"""`docs/attacks.md` and README's table of attacks: what detects each, and when. `python -m pipeline.attack_docs`."""

from __future__ import annotations

import io
import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import msgspec

from pipeline.clock import now_us
from pipeline.config import load_config
from pipeline.local_storage import LocalStorage
from pipeline.lock import hold_lake
from pipeline.rule_files import load_rules
from pipeline.run import Opened
from pipeline.simulate import CONFIG_NAME, write_simulation
from pipeline.watcher import Watcher
from schemas.alerts import Alert, Severity, Status
from schemas.settings import Clock, Settings
from schemas.times import HOUR_US, MINUTE_US, format_duration_us, parse_iso_us
from transforms.sigma import RuleSet
from transforms.simulation import ATTACKS, Scenario
from transforms.simulation.scenario import BUCKET

ROOT = Path(__file__).parent.parent
DOCUMENT, README = ROOT / "docs" / "attacks.md", ROOT / "README.md"
_BEGIN, _END = "<!-- attacks: generated -->\n", "<!-- attacks end -->"  # around README's table
_HOURS = 2
_START_US = parse_iso_us("2026-11-01T00:00:00Z")
_DELIVERED_US = _START_US + 75 * MINUTE_US  # the interval at 60 % of two hours ends here
_JUDGED_US = _START_US + _HOURS * HOUR_US + 15 * MINUTE_US  # the last calls have come in time
_QUIETEST = Severity.MEDIUM
_OBJECT = re.compile(r".*/AWSLogs/.*")
_DRAWN = re.compile(r"\b(?!\d{12}\b)[0-9a-f]{8,}(-[0-9a-f]{4,12}){0,4}")

_HEAD = """# Attacks

What the job makes of each attack of `trailcanary simulate` ([commands.md](commands.md#simulated-attacks) says what each
does): two members and the security account, two regions, two hours, everything that is above low. Measured by
`python -m pipeline.attack_docs`, which writes this page; a test compares them.

*After delivery* counts from the delivery of the object that holds the attack's event, or would have held it, to when
the evidence was complete: 0s is that very object, and 15m are the canary's grace. CloudTrail itself takes some five
minutes to deliver, and the job a second or so to say what it has found ([README](../README.md#follow-a-bucket)).
"""
_COLUMNS = ("attack", "detected by", "severity", "on", "after delivery", "and by")


class Row(msgspec.Struct, frozen=True):
    """One attack in the table, as text; `also` is what else was raised and resolved."""

    attack: str
    by: str
    severity: str
    where: str
    delay: str
    also: str


def scenario_of(attack: str) -> Scenario:
    """What an attack is scored in."""
    regions = ("us-east-1", "eu-west-1")
    return Scenario(seed=1, start_us=_START_US, hours=_HOURS, accounts=2, regions=regions, rate=400, attacks=(attack,))


def alerts_under(attack: str, folder: Path, rules: RuleSet) -> tuple[Alert, ...]:
    """All that the job raises of an attack, simulated below `folder`: a cycle of a watch says what a run says."""
    source, lake = LocalStorage(str(folder / "bucket")), LocalStorage(str(folder / "lake"))
    write_simulation(source, scenario_of(attack), io.StringIO())
    path = folder / "bucket" / CONFIG_NAME
    config = load_config(path.read_text("utf-8"), str(path))
    settings = Settings("scored", (source.root,), lake.root, Clock(_JUDGED_US, None), config)
    with hold_lake(lake, settings.run_id, now_us) as hold:
        done = Watcher(settings, Opened((source,), rules, lake), hold, lambda *_: None).cycle(_JUDGED_US)
    return done.alerts if done else ()


def row_of(attack: str, alerts: Iterable[Alert]) -> Row:
    """What detected an attack first, and what else did: incidents opened or resolved, medium and above, that page."""
    pages = [each for each in alerts if each.suppressed_by is None]
    serious = [each for each in pages if each.severity >= _QUIETEST and each.status is not Status.UPDATED]
    first, *others = [list(same) for _, same in groupby(sorted(serious, key=_order), key=_order)] or [[]]
    if not first:
        return Row(attack, "nothing", "", "", "", "")
    kinds = {_kind(same[0]): _delay(same[0]) for same in reversed(others)}  # the first of each kind is told
    kinds.pop(_kind(first[0]), None)
    also = ", ".join(f"{kind} {delay}" for kind, delay in reversed(kinds.items()))
    by = first[0].canary or first[0].rule
    return Row(
        attack,
        f"{_kind(first[0])} (`{by}`)" if by else _kind(first[0]),
        first[0].severity.label,
        _where(first),
        _delay(first[0]),
        also,
    )


def short_name(resource: str) -> str:
    """The end of a resource's name; what is drawn at random in it is `…`."""
    name = _OBJECT.sub(f"{BUCKET}/AWSLogs/…", resource.rpartition(":")[2])
    return _DRAWN.sub("…", name)


def attacks_markdown(rows: Sequence[Row]) -> str:
    """The document."""
    lines = ((f"`{row.attack}`", *msgspec.structs.astuple(row)[1:]) for row in rows)
    table = _table(_COLUMNS, lines)
    return f"{_HEAD}\n{table}"


def rows_in(document: str) -> list[Row]:
    """The rows of a document, read back."""
    lines = [line for line in document.splitlines() if line.startswith("| `")]
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return [Row(attack.strip("`"), *rest) for attack, *rest in cells]


def readme_table(rows: Sequence[Row]) -> str:
    """README's table: attacks that are detected alike share a line."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        key = (f"{row.by.partition(' (')[0]}, {row.severity}", row.delay, row.also)
        alike.setdefault(key, []).append(row.attack)
    lines = ((", ".join(f"`{attack}`" for attack in attacks), *key) for key, attacks in alike.items())
    return _table(("attacks", "detected by", "after delivery", "and by"), lines)


def main() -> int:
    """Score every attack, and write both documents."""
    rules = load_rules(())
    rows = []
    for attack in ATTACKS:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(row_of(attack, alerts_under(attack, Path(folder), rules)))
    DOCUMENT.write_text(attacks_markdown(rows), "utf-8")
    before, _, rest = README.read_text("utf-8").partition(_BEGIN)
    README.write_text(f"{before}{_BEGIN}{readme_table(rows)}{_END}{rest.partition(_END)[2]}", "utf-8")
    return 0


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(row) for row in rows]
    return "".join(f"| {line} |\n" for line in lines)


def _order(alert: Alert) -> tuple[int, bool, int, str, str]:
    """When, what a rule found first, the worst first; what is equal in all of it is one detection in many places."""
    named = alert.canary or alert.rule or ""
    return alert.detected_us, alert.rule is None, -alert.severity, f"{alert.kind} {alert.status.value}", named


def _kind(alert: Alert) -> str:
    return f"`{alert.kind}`" + (f" {alert.status.value}" if alert.status is not Status.OPENED else "")


def _delay(alert: Alert) -> str:
    return format_duration_us(alert.detected_us - _DELIVERED_US)


def _where(alerts: Sequence[Alert]) -> str:
    """The resource, or else the accounts."""
    names = (short_name(each.resource) if each.resource else each.account_id for each in alerts)
    return ", ".join(sorted({name for name in names if name}))


if __name__ == "__main__":
    sys.exit(main())
