"""The declared log path: which trails, buckets, keys and so on are ours, so that touching *them* outranks any other."""

from __future__ import annotations

import enum

import msgspec

from schemas.times import DAY_US


class Ownership(enum.Enum):
    """Whose a resource is, as far as the configuration tells."""

    OWN = "own"  # part of a declared [[trail]]
    UNKNOWN = "unknown"  # nothing of its type is declared
    OTHER = "other"  # resources of its type are declared, and it is none of them


class Trail(msgspec.Struct, frozen=True):
    """A declared trail and what it delivers through.

    Topics, queues, roles, log groups and EventBridge rules are ARNs, or names in the trail's account and home region;
    queues may be URLs. `organization` and `multi_region` say that it records all accounts, or all regions.
    """

    name: str
    account: str
    home_region: str
    bucket: str
    kms_key: str | None = None
    topics: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    log_groups: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    organization: bool = False
    multi_region: bool = False


class LogPath(msgspec.Struct, frozen=True):
    """Everything declared. A bare trail name is taken relative to the calling account; an ARN carries its owner.

    `warnings_us` are how long before a deadline a time bomb is told again, the longest first.
    """

    trails: tuple[Trail, ...] = ()
    warnings_us: tuple[int, ...] = (7 * DAY_US, DAY_US)

    def owns_trail(self, name_or_arn: str, account_id: str | None) -> Ownership:
        """Look a trail up by name or ARN (`arn:P:cloudtrail:REGION:ACCOUNT:trail/NAME`)."""
        arn = name_or_arn.split(":", 5)
        if len(arn) == 6 and arn[0] == "arn":
            account_id, name_or_arn = arn[4], arn[5].removeprefix("trail/")
        return self._owns({(trail.account, trail.name) for trail in self.trails}, (account_id, name_or_arn))

    def owns_bucket(self, name_or_arn: str) -> Ownership:
        """Look a bucket up by name or ARN (`arn:P:s3:::NAME[/KEY]`)."""
        name = name_or_arn.rpartition(":::")[2].partition("/")[0]
        return self._owns({trail.bucket for trail in self.trails}, name)

    def owns_key(self, id_or_arn: str) -> Ownership:
        """Look a KMS key up by ARN or bare id (an alias only if the alias itself is declared)."""
        declared = {trail.kms_key for trail in self.trails if trail.kms_key}
        bare = {key.rpartition("key/")[2] for key in declared}
        if id_or_arn in declared or id_or_arn.rpartition("key/")[2] in bare:
            return Ownership.OWN
        return Ownership.OTHER if declared else Ownership.UNKNOWN

    @staticmethod
    def _owns(declared: set[object], resource: object) -> Ownership:
        if resource in declared:
            return Ownership.OWN
        return Ownership.OTHER if declared else Ownership.UNKNOWN
