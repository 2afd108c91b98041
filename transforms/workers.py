"""The pool's processes: without Beam, whose import costs each a second and writes to standard error."""

from __future__ import annotations

import gc
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import parent_process
from multiprocessing.connection import wait as wait_for

from schemas.objects import Bundle
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob, BundleReport
from transforms.tally import PROCESSES, TALLY, Tally, adopt

_JOB: list[ArchiveJob] = []


def start_pool(job: ArchiveJob, workers: int) -> ProcessPoolExecutor:
    """Processes that `archive_here` can be submitted to, for bundles of one job."""
    PROCESSES.set_forkserver_preload([__name__])
    return ProcessPoolExecutor(workers, mp_context=PROCESSES, initializer=_start_worker, initargs=(job, TALLY))


def _start_worker(job: ArchiveJob, tally: Tally) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.freeze()
    adopt(tally)
    _JOB[:] = [job]


def _end_with_parent() -> None:
    """A killed run must leave nobody behind who goes on writing to its lake."""
    parent = parent_process()
    if parent is not None:
        wait_for([parent.sentinel])
        os._exit(1)


def archive_here(bundle: Bundle) -> BundleReport:
    """Archive a bundle in a process of the pool."""
    return archive_bundle(_JOB[0], bundle)
