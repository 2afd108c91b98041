"""A verification as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from pipeline.verify_text import finding_text
from schemas.digest_proofs import DigestFinding, Sight, SightSpan
from schemas.times import format_us
from transforms.verified_trails import Asked, Files, VerifiedTrail, VerifiedTree


def verify_json(trees: Iterable[VerifiedTree], asked: Asked, now_us: int) -> tuple[str, bool]:
    """One document: what was asked for, whether all is valid, and each tree with its trails; see docs/digests.md."""
    told = [_tree(tree) for tree in trees]
    valid = bool(told) and all(tree["valid"] for tree in told)
    document = {
        "start": None if asked.from_us is None else format_us(asked.from_us),
        "end": format_us(asked.until_us),
        "as_of": format_us(now_us),
        "valid": valid,
        "trees": told,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode(), valid


def _tree(tree: VerifiedTree) -> dict[str, Any]:
    where = tree.tree
    return {
        "root": where.root,
        "logs": where.logs,
        "account_id": where.account_id,
        "region": where.region,
        "valid": tree.is_valid,
        "problem": tree.problem,
        "trails": [_trail(trail) for trail in tree.trails],
        "findings": [_finding(finding, {}) for finding in tree.findings],
    }


def _trail(trail: VerifiedTrail) -> dict[str, Any]:
    return {
        "trail": trail.chain.trail,
        "home_region": trail.chain.home_region,
        "digests": _count(trail.digests),
        "backfill_digests": _count(trail.backfill),
        "logs": None if trail.logs is None else _count(trail.logs),
        "findings": [_finding(finding, trail.fingerprints) for finding in trail.findings],
        "spans": [_span(span) for span in trail.spans],
    }


def _count(files: Files) -> dict[str, int]:
    return {"valid": len(files.valid), "invalid": files.invalid}


def _finding(finding: DigestFinding, fingerprints: dict[str, str]) -> dict[str, Any]:
    return {
        "fault": finding.fault.value,
        "sight": (Sight.LOST if finding.fault.lost else Sight.UNPROVED).value,
        "uri": finding.uri,
        "start": format_us(finding.start_us),
        "end": format_us(finding.end_us),
        "digests": finding.digests,
        "backfill": finding.chain is not None and finding.chain.backfill,
        "certain": finding.certain,
        "deadline": format_us(finding.deadline_us),
        "text": finding_text(finding, fingerprints).rpartition("\t")[2],
        "detail": finding.detail,
    }


def _span(span: SightSpan) -> dict[str, Any]:
    return {
        "start": format_us(span.start_us),
        "end": format_us(span.end_us),
        "sight": span.sight.value,
        "cause": None if span.cause is None else span.cause.value,
        "backfill": span.chain.backfill,
    }
