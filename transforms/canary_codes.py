r"""One-time codes of canaries: made with a secret, for one slot of one place, and checked.

A code is HMAC-SHA256 over the canary's name, account, region, period and slot, each with its length before it; of the
256 bits the first 160, in lower-case base32. Its 32 characters fit an EC2 ClientToken (64 ASCII), a role session name
(`[\w+=,.@-]{2,64}`) and the name of a bucket, each with a prefix of 16. The period stands in it because slots are
numbered by it: else the old codes of a canary that gets a slightly longer period would come true again.
"""

from __future__ import annotations

import base64
import enum
import functools
import hmac

import msgspec

from schemas.canaries import Canary, Place
from transforms.expected import places

CODE_CHARS = 32
CODE_PATTERN = f"[a-z2-7]{{{CODE_CHARS}}}"
"""What a code looks like, as a regular expression."""

_VERSION = "trailcanary code 1"
_BLOCK = 256
_BLOCKS_KEPT = 256
_SLOTS_BACK, _SLOTS_AHEAD = 4096, 16
_NEAR = 1


class Answer(enum.Enum):
    """What a code proves."""

    RIGHT = enum.auto()  # made with the secret, for this slot of this place
    REPLAYED = enum.auto()  # made with the secret, for another
    WRONG = enum.auto()  # not made with the secret, or for a slot out of reach


class Checked(msgspec.Struct, frozen=True):
    """An answer; for `REPLAYED` also the place and the slot that the code was made for."""

    answer: Answer
    place: Place | None = None
    slot: int | None = None


def make_code(secret: bytes, place: Place, period_us: int, slot: int) -> str:
    """The code of a slot."""
    fields = (_VERSION, place.canary, place.account_id, place.region, str(period_us), str(slot))
    parts = [field.encode("utf-8", "surrogatepass") for field in fields]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return base64.b32encode(hmac.digest(secret, message, "sha256")).decode().lower()[:CODE_CHARS]


class CodeBook:
    """The codes of one canary, under any of its secrets.

    Whether a code is right is compared in constant time. One that is not is looked up among codes that were right
    elsewhere: `_SLOTS_BACK` slots back and `_SLOTS_AHEAD` ahead at the same place, and the slots around at all others.
    """

    def __init__(self, canary: Canary, secrets: tuple[bytes, ...]) -> None:
        self._canary = canary
        self._secrets = secrets
        self._block = functools.lru_cache(_BLOCKS_KEPT)(self._codes_of_block)
        self._elsewhere = functools.lru_cache(2 * _NEAR + 2)(self._codes_of_slot)

    def check(self, code: str, place: Place, slot: int) -> Checked:
        """What a code, found in a call of that slot of that place, proves."""
        given = code.encode("utf-8", "surrogatepass")
        equal = [hmac.compare_digest(given, right.encode()) for right in self._codes(place, slot)]
        return Checked(Answer.RIGHT) if any(equal) else self._replayed(code, place, slot)

    def _replayed(self, code: str, place: Place, slot: int) -> Checked:
        first, last = max(slot - _SLOTS_BACK, 0), slot + _SLOTS_AHEAD
        for number in range(last // _BLOCK, first // _BLOCK - 1, -1):
            if (found := self._block(place, number).get(code)) is not None and first <= found <= last:
                return Checked(Answer.REPLAYED, place, found)
        for near in range(slot - _NEAR, slot + _NEAR + 1):
            if (other := self._elsewhere(near).get(code)) is not None:
                return Checked(Answer.REPLAYED, other, near)
        return Checked(Answer.WRONG)

    def _codes(self, place: Place, slot: int) -> list[str]:
        return [make_code(secret, place, self._canary.period_us, slot) for secret in self._secrets]

    def _codes_of_block(self, place: Place, number: int) -> dict[str, int]:
        slots = range(number * _BLOCK, (number + 1) * _BLOCK)
        return {code: slot for slot in slots for code in self._codes(place, slot)}

    def _codes_of_slot(self, slot: int) -> dict[str, Place]:
        return {code: place for place in places(self._canary) for code in self._codes(place, slot)}


@functools.lru_cache(64)
def code_book(canary: Canary, secrets: tuple[bytes, ...]) -> CodeBook:
    """The book of a canary, kept for the bundles to come."""
    return CodeBook(canary, secrets)
