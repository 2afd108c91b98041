"""Where an alert's runbook lies: one page for each kind."""

from __future__ import annotations


def runbook_of(kind: str) -> str:
    """The page of an alert kind, from the root of the repository: `docs/runbooks/canary-missing.md`."""
    return f"docs/runbooks/{kind.replace('.', '-').replace('_', '-')}.md"
