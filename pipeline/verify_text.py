"""A verification in words: those of `aws cloudtrail validate-logs`, and what it does not say.

Valid files and the summary go to one stream, what is invalid to the other, as there.
"""

from __future__ import annotations

from typing import TextIO

from pipeline.alert_table import escaped
from schemas.dead_letters import Reason
from schemas.digest_proofs import DigestFinding
from schemas.digests import Chain, DigestFault, Tree
from schemas.times import SECOND_US, format_us
from transforms.verified_trails import LOG_FAULTS, Asked, Files, VerifiedTrail, VerifiedTree

_WHOLE_TEXTS = {
    DigestFault.MALFORMED: "invalid format",
    DigestFault.SECOND_MEMBER: "unexpected data after end of compressed stream",
    DigestFault.SIGNATURE_INVALID: "signature verification failed",
    DigestFault.NO_SIGNATURE: "signature verification failed",
    DigestFault.SWAPPED: "has been moved from its original location",
    DigestFault.MOVED: "has been moved from its original location",
    DigestFault.KEY_UNKNOWN: "public key not found in region {region} for fingerprint {fingerprint}",
    DigestFault.KEY_NOT_VALID: (
        "public key not found in region {region} for fingerprint {fingerprint}: the pinned one was not valid then"
    ),
    DigestFault.KEY_UNUSABLE: "Unable to load PKCS #1 key with fingerprint {fingerprint}",
    DigestFault.FIRST_REMOVED: "not found",
    DigestFault.REMOVED: "not found",
    DigestFault.MISSING: "not found",
    DigestFault.LOG_MISSING: "not found",
    DigestFault.LOG_ALTERED: "hash value doesn't match",
    DigestFault.LOG_PLANTED: "in no digest, though its time is covered",
    DigestFault.GAP: "begins after the digest before it ends{uncovered}",
    DigestFault.OVERLAP: "begins before the digest before it ends",
    DigestFault.RESTARTED: "starts a new chain, though there is one{uncovered}",
}
_DETAILED_TEXTS = {
    DigestFault.FORBIDDEN: "access denied",
    DigestFault.UNREAD: "could not be read",
    DigestFault.ALGORITHM: "not signed and hashed by RSASSA-PKCS1-v1_5 and SHA-256",
    DigestFault.PREVIOUS_HASH: "hash value doesn't match the one in the next digest",
    DigestFault.PREVIOUS_SIGNATURE: "signature doesn't match the one in the next digest",
    DigestFault.UNLINKED: "does not follow the digest before it",
    DigestFault.LOG_UNREADABLE: "invalid format",
    DigestFault.LOG_UNREAD: "could not be read",
    DigestFault.LISTED_TWICE: "listed more than once",
}
_BEHIND = {Reason.SECOND_MEMBER.value, Reason.TRAILING_BYTES.value}
_LOGS = LOG_FAULTS | {DigestFault.LOG_PLANTED, DigestFault.LISTED_TWICE}
_PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"), ("us-isob-", "aws-iso-b"), ("us-iso-", "aws-iso"))


class VerifyText:
    """Tells trees as they are verified."""

    def __init__(self, asked: Asked, out: TextIO, errors: TextIO, *, verbose: bool) -> None:
        self._asked = asked
        self._out = out
        self._errors = errors
        self._verbose = verbose
        self._spaced = True
        self._trees: list[tuple[Tree, int, bool]] = []

    def tell(self, tree: VerifiedTree) -> None:
        """A section for each trail, and the findings that are of none."""
        where = tree.tree
        self._trees.append((where, len(tree.trails), tree.is_valid))
        for trail in tree.trails:
            self._trail(trail)
        if tree.problem is not None:
            self._status(escaped(f"Account {where.account_id}, region {where.region}: {tree.problem}"), error=True)
        elif not tree.trails:
            self._out.write(
                f"No digests found for account {where.account_id} in region {where.region} of {escaped(where.root)}\n\n"
            )
        for finding in tree.findings:
            self._status(finding_text(finding), error=True)

    def end(self) -> bool:
        """How it stands, over all of them; whether there are some, and all are valid."""
        if not self._trees:
            self._out.write("No digests found\n")
            return False
        accounts, regions = ({getattr(tree, name) for tree, *_ in self._trees} for name in ("account_id", "region"))
        trails, bad = sum(each[1] for each in self._trees), sum(not each[2] for each in self._trees)
        self._out.write(f"{trails:,} trails of {len(accounts):,} accounts in {len(regions):,} regions: ")
        proved = f"{bad:,} of {len(self._trees):,} accounts and regions are not proved to be what was delivered"
        self._out.write(f"{proved if bad else 'all valid'}\n")
        return not bad

    def _trail(self, trail: VerifiedTrail) -> None:
        chain, from_us = trail.chain, self._asked.from_us
        if from_us is None:
            from_us = min((span.start_us for span in trail.spans), default=self._asked.until_us)
        asked = _time(from_us), _time(self._asked.until_us)
        self._out.write(f"Validating log files for trail {_arn(chain)} between {asked[0]} and {asked[1]}\n")
        self._out.write(
            f"Account {chain.account_id}, region {chain.region}, in {escaped(chain.root)}/{escaped(chain.logs)}\n\n"
        )
        for kind, files in (("Digest", trail.digests), ("Digest", trail.backfill), ("Log", trail.logs or Files())):
            for uri in files.valid if self._verbose else ():
                self._status(f"{kind} file\t{escaped(uri)}\tvalid")
        for finding in trail.findings:
            self._status(finding_text(finding, trail.fingerprints), error=True)
        self._summary(trail, asked)

    def _summary(self, trail: VerifiedTrail, asked: tuple[str, str]) -> None:
        out = self._out
        out.write("" if self._spaced else "\n")
        self._spaced = True
        out.write(f"Results requested for {asked[0]} to {asked[1]}\n")
        if trail.found is None:
            out.write("No valid digests found in range\n")
        else:
            first_us = max(trail.found[0], self._asked.from_us or trail.found[0])
            last_us = min(trail.found[1], self._asked.until_us)
            out.write(f"Results found for {_time(first_us)} to {_time(last_us)}:\n")
        for files, name in (
            (trail.digests, "digest"),
            (trail.backfill, "backfill digest"),
            (trail.logs or Files(), "log"),
        ):
            out.write(_ratio(files, name))
        what = "What digests list" if trail.logs is None else "What was delivered"
        out.write(f"\n\n{what}, as far as it is known:\n")
        for span in trail.spans:
            cause = f"  {span.cause.value}" if span.cause else ""
            backfill = "  backfill" if span.chain.backfill else ""
            out.write(f"{span.sight.value:<9} {_time(span.start_us)} to {_time(span.end_us)}{backfill}{cause}\n")
        out.write("\n")

    def _status(self, text: str, *, error: bool = False) -> None:
        if error:
            self._errors.write(f"{'' if self._spaced else chr(10)}{text}\n\n")
        else:
            self._out.write(f"{text}\n")
        self._spaced = error


def finding_text(finding: DigestFinding, fingerprints: dict[str, str] | None = None) -> str:
    """A finding as validate-logs says it; what validate-logs does not see, with its details."""
    noun = "Log" if finding.fault in _LOGS else "Digest"
    hole = finding.start_us < finding.end_us
    told = {
        "region": finding.chain.region if finding.chain else "",
        "fingerprint": (fingerprints or {}).get(finding.uri, "unknown"),
        "uncovered": f": no digest covers {_time(finding.start_us)} to {_time(finding.end_us)}" if hole else "",
    }
    behind = finding.detail.rpartition("; ")[2] in _BEHIND and finding.fault is DigestFault.LOG_UNREADABLE
    whole = _WHOLE_TEXTS.get(DigestFault.SECOND_MEMBER if behind else finding.fault)
    text = f"{_DETAILED_TEXTS[finding.fault]}: {finding.detail}" if whole is None else whole.format(**told)
    if finding.digests > 1:
        text += f" ({finding.digests} hours up to {_time(finding.end_us)})"
    return escaped(f"{noun} file") + f"\t{escaped(finding.uri)}\tINVALID: {escaped(text)}"


def _ratio(files: Files, name: str) -> str:
    valid, total = len(files.valid), len(files.valid) + files.invalid
    if not total:
        return ""
    invalid = f", {files.invalid}/{total} {name} files INVALID" if files.invalid else ""
    return f"\n{valid}/{total} {name} files valid{invalid}"


def _arn(chain: Chain) -> str:
    partition = next((name for start, name in _PARTITIONS if chain.home_region.startswith(start)), "aws")
    return escaped(f"arn:{partition}:cloudtrail:{chain.home_region}:{chain.account_id}:trail/{chain.trail}")


def _time(us: int) -> str:
    return format_us(us // SECOND_US * SECOND_US)
