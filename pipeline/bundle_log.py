"""A line for each bundle of a stream, in its worker's log."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pipeline.clock import now_us
from pipeline.log_line import bundle_members, log_line
from schemas.objects import Bundle
from schemas.times import SECOND_US
from transforms.archive_job import archive_bundle
from transforms.bundle_writer import ArchiveJob, BundleReport

_LOG = logging.getLogger(__name__)


def archive_logged(job: ArchiveJob, bundle: Bundle, clock: Callable[[], int] = now_us) -> BundleReport:
    """Archive a bundle, and say so once it is committed. Raises what `archive_bundle` raises."""
    began_us = clock()
    report = archive_bundle(job, bundle)
    ended_us = clock()
    took_s = round((ended_us - began_us) / SECOND_US, 3)
    members = bundle_members(bundle, report)
    _logger().info("%s", log_line(ended_us, "bundle", run_id=job.run_id, took_s=took_s, **members))
    return report


def _logger() -> logging.Logger:
    """A runner that collects logs gets the line; Beam's pool of workers does not, and there it goes to standard error.

    What the pool's workers have at most is the handler that Python makes by itself: it would put words before the JSON.
    """
    if _LOG.level == logging.NOTSET:  # not chosen by --sdk_harness_log_level_overrides
        _LOG.setLevel(logging.INFO)
    collected = any(type(handler) is not logging.StreamHandler for handler in logging.getLogger().handlers)
    if not collected and not _LOG.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        _LOG.addHandler(handler)
        _LOG.propagate = False
    return _LOG
