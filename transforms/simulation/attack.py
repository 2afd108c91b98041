"""An attack: the calls that leave one last event, whose they are, and what they take from the log."""

from __future__ import annotations

import enum

import msgspec

from transforms.simulation.template import Call


class Effect(enum.Enum):
    """What changes after an attack. Deliveries end after the one that carries the attack's event."""

    NONE = enum.auto()
    EVENTS = enum.auto()  # the victim's later events are not recorded
    WRITES = enum.auto()  # … those that change something are not
    MANAGEMENT = enum.auto()  # … management events are not
    DATA = enum.auto()  # … data events are not
    KEYS = enum.auto()  # … those of KMS are not
    GLOBAL = enum.auto()  # … those of IAM, STS and CloudFront are not
    CANARIES = enum.auto()  # … the canary's are not
    DELIVERIES = enum.auto()  # the victim's deliveries end
    REGION = enum.auto()  # the victim's deliveries from its last region end
    ABROAD = enum.auto()  # the victim's deliveries from all regions but the trail's own end
    MEMBERS = enum.auto()  # the deliveries of all accounts but the organisation's first end
    ALL_DELIVERIES = enum.auto()  # everyone's deliveries end
    DIGESTS = enum.auto()  # the victim's digests end
    HELD = enum.auto()  # 30 minutes of the victim's deliveries come 40 minutes late
    TRUNCATED = enum.auto()  # 30 minutes of the victim's objects are cut short
    ALLOWED = enum.auto()  # the victim's canary calls are no longer refused
    FORGED = enum.auto()  # … come from somebody who copies them without the secret
    REPLAYED = enum.auto()  # … who repeats them an hour later


class Origin(enum.Enum):
    """In whose account the calls are made, and recorded."""

    VICTIM = enum.auto()
    SECURITY = enum.auto()  # the account that owns the bucket, the key, the topic and the queue
    MANAGEMENT = enum.auto()  # the organisation's first account


class Attack(msgspec.Struct, frozen=True):
    """`summary` says in one sentence what it does; its `calls` lie `pause_s` seconds apart."""

    summary: str
    effect: Effect
    calls: tuple[Call, ...] = ()
    origin: Origin = Origin.VICTIM
    pause_s: int = 0
