"""`[[trail]]` and `[time_bombs]`: what of the log path the configuration declares, and how deadlines are told."""

from __future__ import annotations

import re

from pipeline.toml_table import Form, Table
from schemas.trails import LogPath, Trail

_TRAIL_PARTS = ("bucket", "kms_key", "topic", "queue", "role", "log_group", "rule")
_TRAIL_KEYS = ("name", "account", "home_region", "organization", "multi_region", *_TRAIL_PARTS)
_TIME_BOMBS_KEYS = ("warn",)

ACCOUNT = Form("an account id of 12 digits", re.compile(r"[0-9]{12}"))
REGION = Form("a region such as us-east-1", re.compile(r"[a-z]{2,5}(-[a-z]{2,20}){1,3}-[0-9]{1,2}"))
_TRAIL_NAME = Form("the name of a trail (not its ARN)", re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,127}"))
_BUCKET = Form("the name of a bucket (no ARN, no prefix)", re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,62}"))
_KMS_KEY = Form("the ARN or id of a KMS key", re.compile(r"[!-~…]{1,2048}"))
_PLACE = r"arn:aws[a-z-]*:{service}:[a-z0-9-]+:[0-9]{{12}}:"
_TOPIC = Form(
    "the ARN or name of an SNS topic",
    re.compile(rf"({_PLACE.format(service='sns')})?[\w-]{{1,256}}(\.fifo)?", re.ASCII),
)
_QUEUE = Form(
    "the ARN, URL or name of an SQS queue",
    re.compile(rf"({_PLACE.format(service='sqs')}|https://[a-z0-9.-]+/[0-9]{{12}}/)?[\w-]{{1,80}}(\.fifo)?", re.ASCII),
)
_ROLE = Form(
    "the ARN or name of an IAM role",
    re.compile(r"(arn:aws[a-z-]*:iam::[0-9]{12}:role/([!-~]{1,510}/)?)?[\w+=,.@-]{1,64}", re.ASCII),
)
_LOG_GROUP = Form(
    "the ARN or name of a log group",
    re.compile(rf"({_PLACE.format(service='logs')}log-group:)?[\w./#-]{{1,512}}(:\*)?", re.ASCII),
)
_RULE = Form(
    "the ARN or name of an EventBridge rule",
    re.compile(rf"({_PLACE.format(service='events')}rule/([\w./-]{{1,256}}/)?)?[\w.-]{{1,64}}", re.ASCII),
)


def read_log_path(trails: list[Table], time_bombs: Table | None) -> LogPath:
    """Read the tables of trails, and how long before a deadline to warn; what is wrong is noted in them."""
    path = LogPath(tuple(_trail(table) for table in trails))
    if time_bombs is None:
        return path
    time_bombs.refuse_unknown(_TIME_BOMBS_KEYS)
    warnings_us = time_bombs.durations_us("warn")
    return LogPath(path.trails, tuple(sorted(warnings_us, reverse=True)))


def _trail(table: Table) -> Trail:
    table.refuse_unknown(_TRAIL_KEYS)
    return Trail(
        name=table.string("name", _TRAIL_NAME),  # problems are told in this order
        account=table.string("account", ACCOUNT),
        home_region=table.string("home_region", REGION),
        organization=table.flag("organization"),
        multi_region=table.flag("multi_region"),
        bucket=table.string("bucket", _BUCKET),
        kms_key=table.string("kms_key", _KMS_KEY) if table.has("kms_key") else None,
        topics=_some(table, "topic", _TOPIC),
        queues=_some(table, "queue", _QUEUE),
        roles=_some(table, "role", _ROLE),
        log_groups=_some(table, "log_group", _LOG_GROUP),
        rules=_some(table, "rule", _RULE),
    )


def _some(table: Table, key: str, form: Form) -> tuple[str, ...]:
    return table.one_or_more(key, form) if table.has(key) else ()
