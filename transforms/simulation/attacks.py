"""Every attack that can be simulated, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from transforms.simulation.attack import Attack
from transforms.simulation.bucket_attacks import BUCKET_ATTACKS
from transforms.simulation.key_attacks import KEY_ATTACKS
from transforms.simulation.organization_attacks import ORGANIZATION_ATTACKS
from transforms.simulation.reader_attacks import READER_ATTACKS
from transforms.simulation.silent_attacks import SILENT_ATTACKS
from transforms.simulation.trail_attacks import TRAIL_ATTACKS
from transforms.simulation.watcher_attacks import WATCHER_ATTACKS

ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        **TRAIL_ATTACKS,
        **BUCKET_ATTACKS,
        **KEY_ATTACKS,
        **READER_ATTACKS,
        **ORGANIZATION_ATTACKS,
        **WATCHER_ATTACKS,
        **SILENT_ATTACKS,
    }
)
"""Every attack hits the second account (or the only one) at 60 % of the time, unless its summary says whom."""
