"""Digests that CloudTrail wrote, where they lie beside the checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.digest_proofs import Place
from schemas.digests import SignedDigest, parse_digest_key
from schemas.keys import Kind, parse_key
from schemas.objects import ObjectRef
from schemas.times import HOUR_US
from transforms.digest_decode import decode_digest
from transforms.digest_places import Places

_DIGESTS = Path(__file__).parent.parent.parent / "shared" / "data" / "digests"
_FILES = sorted(_DIGESTS.glob("*.digest.json"))


@pytest.mark.data
@pytest.mark.skipif(not _FILES, reason="the real digests are not here")
def test_real_digests_are_understood() -> None:
    """Each says what its key says, spans an hour, names the hour before, and lists logs of its own tree."""
    for file in _FILES:
        said = json.loads(file.read_bytes())
        root, path = f"s3://{said['digestS3Bucket']}", said["digestS3Object"]
        facts = parse_key(path)
        ref = ObjectRef(root, path, 1, "", 0, Kind.DIGEST, facts.account_id, facts.region, facts.delivered_us or 0)
        digest = decode_digest(ref, file.read_bytes(), {}, None)
        assert isinstance(digest, SignedDigest), file.name
        places = Places([Place(root)])
        assert places.fault(digest) is None
        assert (digest.end_us - digest.start_us, digest.end_us) == (HOUR_US, digest.delivered_us)
        assert digest.previous is not None
        before = parse_digest_key(digest.previous.key)
        assert before is not None
        assert (before.chain(root), before.end_us) == (digest.chain, digest.start_us)
        tree = f"{root}/{digest.chain.logs}{digest.chain.account_id}/CloudTrail/{digest.chain.region}/"
        assert all((places.uri_of(digest, log.bucket, log.key) or "").startswith(tree) for log in digest.logs)
