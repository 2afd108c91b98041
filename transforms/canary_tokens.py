"""What a canary's call carries, for whoever makes it: the inverse of `transforms.canary_carriers`."""

from __future__ import annotations

from schemas.canaries import Canary, Place
from transforms.canary_codes import make_code

DEFAULT_PREFIX = "tc-"


def token_of(canary: Canary, place: Place, slot: int, chance: str) -> str:
    """The prefix and the code of a slot, or `chance` in its place where the canary has no code.

    Raises:
        SecretUnavailable: the secret of the code cannot be read.
    """
    if canary.code is None:
        return DEFAULT_PREFIX + chance
    newest, *_ = canary.code.source.secrets()
    return canary.code.prefix + make_code(newest, place, canary.period_us, slot)


def margin_us(canary: Canary) -> int:
    """How far from both ends of its slot a call is to be made: clocks differ, and a call takes its time."""
    return min(canary.period_us // 10, 30_000_000)
