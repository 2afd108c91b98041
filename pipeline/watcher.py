"""Cycles over one lake: each looks for what is new, and does what there is to do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import msgspec

from pipeline.calibration_file import calibration_version, read_calibration
from pipeline.digest_books import digest_check
from pipeline.graph import archive_job
from pipeline.lake import LakeState, read_lake, read_lake_whole
from pipeline.lock import Hold
from pipeline.run import Opened, new_run_id, run_held
from pipeline.views import kinds_present, write_views
from pipeline.watch_cycle import Done, carry_out
from pipeline.watch_state import WatchState
from schemas.objects import Bundle, ObjectRef
from schemas.settings import MIB, Clock, Settings
from transforms.bundle_writer import BundleReport
from transforms.calibration import with_uncalibrated
from transforms.judged_slots import NextSlot
from transforms.objects import Listing
from transforms.recent_listing import Pace, RecentListing

CATCH_UP_BYTES = 64 * MIB
"""More than that at once is a bounded run's work, with all its processes."""

_BEAM = ("--runner=FnApiRunner",)


class Watcher:
    """The lake as it is, between cycles. It is read at the beginning, and again after a cycle that failed.

    `told` hears of each bundle that a small cycle commits. The inputs are listed again after `every_us`, or where a
    slot is due; cycles in between only handle what they are told of. Another thread that writes to the lake holds
    `quiet` meanwhile: else what it has half written could be taken for litter.
    """

    def __init__(
        self,
        settings: Settings,
        opened: Opened,
        hold: Hold,
        told: Callable[[Bundle, BundleReport], None],
        *,
        pace: Pace | None = None,
        every_us: int = 0,
    ) -> None:
        self._settings = settings
        self._opened = opened
        self._hold = hold
        self._told = told
        self._pace = pace
        self._every_us = every_us
        self.quiet = threading.Lock()
        self._listed_us = 0
        self._kept: tuple[WatchState, RecentListing] | None = None
        self._present: set[str] = set()
        self._last_us = 0
        self._calibrated: str | None = None

    @property
    def name(self) -> str:
        """The first part of what it writes besides its cycles' files."""
        return self._settings.run_id

    def has(self, uri: str) -> bool:
        """Whether the ledger knows some version of an object."""
        return self._kept is not None and bool(self._kept[0].objects.replaced([uri]))

    @property
    def state(self) -> WatchState | None:
        """What is known of the lake; None before the first cycle, and after one that failed."""
        return None if self._kept is None else self._kept[0]

    @property
    def due_us(self) -> int | None:
        """The earliest deadline of a slot without a verdict, or of what else is due of itself, where that is known."""
        if self._kept is None:
            return None
        state = self._kept[0]
        slot = state.slots.next_slot()
        times_us = (None if slot is None else slot.deadline_us, state.due_us)
        return min((us for us in times_us if us is not None), default=None)

    def cycle(self, at_us: int, named: Sequence[ObjectRef] = ()) -> Done | None:
        """Do what there is to do at `at_us`; None where there is nothing, and nothing is written.

        `named` are objects that somebody has told of, known or not.

        Raises:
            StorageError: an input or the lake failed; the next cycle begins with what was committed.
            LakeLocked, LakeDamaged: as their names say; no cycle can follow.
        """
        at_us = self._last_us = max(at_us, self._last_us + 1)  # a clock that is set back must not judge twice
        if self._kept is None:
            completed = self._open(at_us)
            if completed is not None:
                return completed
        assert self._kept is not None  # noqa: S101 - opened above
        state, listing = self._kept
        found = self._look(state, listing, at_us, named)
        if found is None:
            return None
        self._calibrate()
        state.slots.declare(self._settings.config.canaries)
        self._kept = None  # until all of it is written
        if sum(ref.size for ref in found[1]) > CATCH_UP_BYTES:
            with self.quiet:
                before = read_lake(self._opened.lake, self._settings.config)
            return self._run(at_us, before)
        done = self._carry_out(state, found, at_us)
        self._kept = state, listing
        return done

    def _calibrate(self) -> None:
        """Heed what `calibrate` has added to the lake since the last cycle that did something."""
        lake, config = self._opened.lake, self._settings.config
        version = calibration_version(lake) if config.canaries else None
        if version != self._calibrated:
            canaries = with_uncalibrated(config.canaries, read_calibration(lake))
            config = msgspec.structs.replace(config, canaries=canaries)
            self._settings = msgspec.structs.replace(self._settings, config=config)
            self._calibrated = version

    def _open(self, at_us: int) -> Done | None:
        """Read the lake. What a run that died left to do is done first, and is this cycle."""
        self._calibrate()
        lake, config = self._opened.lake, self._settings.config
        with self.quiet:
            lake_state, ledger = read_lake_whole(lake, config)
        if lake_state.died:
            return self._run(at_us, lake_state)
        write_views(lake)
        self._present = set(kinds_present(lake))
        check = digest_check(self._settings, self._opened.inputs, lake)
        state = WatchState(lake_state, ledger, config, check)
        self._kept = state, RecentListing(self._opened.inputs, state.objects, self._pace)
        return None

    def _run(self, at_us: int, before: LakeState) -> Done:
        outcome = run_held(self._settings_at(at_us), self._opened, _BEAM, before)
        return Done(outcome.report, outcome.alerts)

    def _carry_out(self, state: WatchState, found: tuple[Listing, Sequence[ObjectRef]], at_us: int) -> Done:
        opened, settings = self._opened, self._settings_at(at_us)
        job = archive_job(settings, opened.inputs, opened.lake, opened.rules)
        done = carry_out(job, settings, state, found, check=self._hold.check, told=self._told)
        if not done.kinds <= self._present:
            write_views(opened.lake)
            self._present |= done.kinds
        return done

    def _look(
        self, state: WatchState, listing: RecentListing, at_us: int, named: Sequence[ObjectRef]
    ) -> tuple[Listing, Sequence[ObjectRef]] | None:
        """What is new; None where nothing is, and no slot is due either: they are judged after a thorough look only."""
        due = _is_due(state.slots.next_slot(), at_us) or (state.due_us is not None and state.due_us <= at_us)
        if named and not due and at_us < self._listed_us + self._every_us:
            listed, refs = listing.sift(named)
        else:
            listed, refs = listing.look(at_us, thorough=due)
            self._listed_us = at_us
            if named:
                listed, refs = listing.sift([*named, *refs])
        if refs and not due and _is_due(state.slots.next_slot(listed.first_delivery_us), at_us):
            listed, refs = listing.sift([*refs, *listing.look(at_us, thorough=True)[1]])
        return (listed, refs) if refs or due else None

    def _settings_at(self, at_us: int) -> Settings:
        return msgspec.structs.replace(self._settings, run_id=new_run_id(at_us), clock=Clock(at_us, at_us))


def _is_due(slot: NextSlot | None, at_us: int) -> bool:
    return slot is not None and slot.deadline_us <= at_us
