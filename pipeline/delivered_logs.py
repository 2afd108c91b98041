"""Objects that CloudTrail delivered after some time, of some accounts, listed again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.log_folders import log_folders, side_by_side
from schemas.errors import StorageError
from schemas.objects import ObjectRef
from schemas.settings import Limits
from schemas.storage import Stat, Storage
from schemas.times import DAY_US, MINUTE_US, format_us
from transforms.canary_search import Found, Origin, Wanted, find_wanted
from transforms.fetch import Inflated, fetch
from transforms.object_refs import ref_of

_CLOCKS_DIFFER_US = 5 * MINUTE_US


class DeliveredLogs:
    """A place to find calls in: the inputs. Each object is read once.

    Of an input with `AWSLogs/` folders only the accounts' dates are listed, of any other everything.
    """

    def __init__(self, inputs: Sequence[Storage], clock: Callable[[], int], warn: Callable[[str], None]) -> None:
        self._inputs = {storage.root: storage for storage in inputs}
        self._clock = clock
        self._warn = warn
        self._read: set[tuple[str, str]] = set()

    def check(self) -> None:
        """Raises StorageError where an input cannot be listed."""
        for storage in self._inputs.values():
            next(iter(storage.folders()), None)

    def look(self, wanted: Sequence[Wanted]) -> Iterator[Found]:
        """Calls whose records have come since the last look; one may be found twice. What fails is told and retried.

        Raises:
            SecretUnavailable: the secret of a canary's code cannot be read.
        """
        from_us = min(each.receipt.at_us for each in wanted) - _CLOCKS_DIFFER_US
        accounts = {each.receipt.place.account_id for each in wanted}
        refs = [ref for ref in self._refs(accounts, from_us) if (ref.uri, ref.etag) not in self._read]
        for body in fetch(enumerate(refs), self._inputs, Limits().max_object_bytes):
            if not isinstance(body, Inflated):
                self._warn(f"{body.ref.uri}: {body.reason.value}: {body.detail}")
                continue
            self._read.add((body.ref.uri, body.ref.etag))
            readable_us = max(body.ref.delivered_us, body.ref.modified_us)
            yield from find_wanted(body.body, Origin(body.ref.uri, body.ref.region, readable_us), wanted)

    def _refs(self, accounts: set[str], from_us: int) -> Iterator[ObjectRef]:
        for storage in self._inputs.values():
            try:
                stats = list(_stats(storage, accounts, from_us, self._clock()))
            except StorageError as error:
                self._warn(str(error))
                continue
            refs = (ref_of(storage.root, stat) for stat in stats if stat.modified_us >= from_us)
            yield from (ref for ref in refs if ref.kind.holds_records)


def _stats(storage: Storage, accounts: set[str], from_us: int, now_us: int) -> Iterable[Stat]:
    logs = log_folders(storage)
    if not logs:
        return storage.list()
    days = range(from_us // DAY_US, (now_us + _CLOCKS_DIFFER_US) // DAY_US + 1)
    dates = [format_us(day * DAY_US)[:10].replace("-", "/") for day in days]
    trees = [f"{log}{account}/CloudTrail/" for log in logs for account in sorted(accounts)]
    regions = side_by_side(storage, lambda tree: [f"{tree}{name}/" for name in storage.folders(tree)], trees)
    folders = [f"{region}{date}/" for region in regions for date in dates]
    return side_by_side(storage, lambda folder: list(storage.list(folder)), folders)
