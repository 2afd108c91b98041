"""One spelling for each resource of the log path, whatever a call names it by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from schemas.trails import LogPath, Trail
from transforms.unicode_text import encodable

_KEPT = 2048
_ARN_PARTS = 6
_PARTITION = re.compile(r"^arn:[\w-]*:")
_REGION = re.compile(r"[a-z]{2,5}(?:-[a-z]{2,20}){1,3}-\d{1,2}")
_OLDEST_REGION = "us-east-1"  # of queue URLs that name none: https://queue.amazonaws.com/…
_TYPES = (":sns:", ":sqs:", ":role/", ":log-group:", ":rule/")
"""What the canonical names of topics, queues, roles, log groups and event rules have in them."""


def canonical(name: str) -> str:
    """The one spelling of a resource.

    Keys are `key/ID`, whatever region and account an ARN names (an id is unique); buckets, also of an object's or an
    ARN's, their bare name; queues, also of a URL, and all else (trails, aliases, topics, roles, …) the ARN that it is:
    of a role without its path, of a log group without its streams, of a subscription that of its topic. Partitions are
    not told apart: account ids, buckets and keys are of one.
    """
    text = _PARTITION.sub("arn:aws:", encodable(name)[:_KEPT])
    if ":key/" in text or text.startswith("key/"):
        return f"key/{text.rpartition('key/')[2]}"
    if text.startswith("arn:"):
        return _arn(text)
    if text.startswith(("https://", "http://")):
        return _queue(text)
    return text if text.startswith("alias/") else text.partition("/")[0]


def declared_by(trail: Trail) -> Iterator[str]:
    """The canonical names of a declared trail and of all that it declares; bare ones are of its account and region."""
    place = f"{trail.home_region}:{trail.account}"
    yield canonical(f"arn:aws:cloudtrail:{place}:trail/{trail.name}")
    yield canonical(trail.bucket)
    if trail.kms_key:
        named = trail.kms_key.startswith(("arn:", "alias/"))
        yield canonical(trail.kms_key if named else f"key/{trail.kms_key}")
    for names, bare in (
        (trail.topics, f"arn:aws:sns:{place}:"),
        (trail.queues, f"arn:aws:sqs:{place}:"),
        (trail.roles, f"arn:aws:iam::{trail.account}:role/"),
        (trail.log_groups, f"arn:aws:logs:{place}:log-group:"),
        (trail.rules, f"arn:aws:events:{place}:rule/"),
    ):
        for name in names:
            yield canonical(name if name.startswith(("arn:", "https://")) else f"{bare}{name}")


@lru_cache(maxsize=16)
def declared_names(log_path: LogPath) -> frozenset[str]:
    """All of what is declared, under canonical names."""
    return frozenset(name for trail in log_path.trails for name in declared_by(trail))


@lru_cache(maxsize=16)
def declared_types(log_path: LogPath) -> tuple[str, ...]:
    """Which of topics, queues, roles, log groups and event rules are declared at all, by a part of their names."""
    return tuple(each for each in _TYPES if any(each in name for name in declared_names(log_path)))


def _arn(text: str) -> str:
    *place, rest = text.split(":", _ARN_PARTS - 1)
    if len(place) + 1 < _ARN_PARTS:
        return text
    match place[2]:
        case "s3" if not rest.startswith("accesspoint"):
            return rest.partition("/")[0]
        case "iam" if rest.startswith("role/"):
            rest = f"role/{rest.rpartition('/')[2]}"
        case "logs" if rest.startswith("log-group:"):
            rest = ":".join(rest.split(":")[:2])
        case "lambda" if rest.startswith("function:"):
            rest = ":".join(rest.split(":")[:2])
        case "sns":
            rest = rest.partition(":")[0]
        case "events":
            rest = rest.replace("rule/default/", "rule/", 1)
    return ":".join((*place, rest))


def _queue(url: str) -> str:
    host, *path = url.partition("://")[2].split("/")
    region = _REGION.search(host)
    account, queue = path[:2] if len(path) > 1 else ("", host)
    return f"arn:aws:sqs:{region[0] if region else _OLDEST_REGION}:{account}:{queue}"
