"""What a run is told, parsed and validated before anything is built."""

from __future__ import annotations

import msgspec

from schemas.canaries import Canary
from schemas.digest_proofs import Patience
from schemas.maintenance import Maintenance
from schemas.trails import LogPath

MIB = 1024 * 1024


class Limits(msgspec.Struct, frozen=True):
    """Bounds on hostile input. AWS's own limit for a log object is 50 MB before compression; ours leaves slack."""

    max_object_bytes: int = 64 * MIB
    max_dead_letter_bytes: int = 64 * 1024
    bundle_bytes: int = 160 * MIB


class DigestConfig(msgspec.Struct, frozen=True):
    """How digests are verified: how late one may be, and where the input was copied from, if it is a copy."""

    grace_us: int = Patience().grace_us
    original_location: str | None = None


class Config(msgspec.Struct, frozen=True):
    """The configuration file."""

    canaries: tuple[Canary, ...] = ()
    log_path: LogPath = LogPath()
    allowed_lateness_us: int = 86_400_000_000
    maintenance: tuple[Maintenance, ...] = ()
    digests: DigestConfig = DigestConfig()


class Clock(msgspec.Struct, frozen=True):
    """The run's one idea of now (`now_us`), and how far it judges: None stands for the newest delivery."""

    now_us: int
    as_of_us: int | None


class Settings(msgspec.Struct, frozen=True):
    """Everything that shapes a run."""

    run_id: str
    inputs: tuple[str, ...]
    output: str
    clock: Clock
    config: Config = Config()
    limits: Limits = Limits()
    rule_folders: tuple[str, ...] = ()
    workers: int = 1
    replay: bool = False
