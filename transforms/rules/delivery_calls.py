"""What is derived for which call on what leads from the log bucket to whoever reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.trails import LogPath
from transforms.rules import notifications

_Describe = Callable[[Mapping[str, Any], LogPath], dict[str, Any]]


def _for(source: str, describe: _Describe, *names: str) -> dict[tuple[str, str], _Describe]:
    return {(f"{source}.amazonaws.com", name): describe for name in names}


DESCRIBE_DELIVERY: dict[tuple[str, str], _Describe] = {
    **_for("sns", notifications.describe_topic, "SetTopicAttributes"),
    **_for("sns", notifications.describe_subscription, "Subscribe"),
    **_for("sqs", notifications.describe_queue, "SetQueueAttributes"),
    **_for("sqs", notifications.describe_caller, "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch"),
    **_for("sts", notifications.describe_caller, "AssumeRole"),
    **_for("lambda", notifications.describe_mapping, "UpdateEventSourceMapping20150331"),
}
"""eventSource and eventName to the function that describes the call."""
