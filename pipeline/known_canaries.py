"""What a job is told of its canaries besides the log: the receipts of their calls, and the lake's calibration."""

from __future__ import annotations

import msgspec

from pipeline.calibration_file import read_calibration
from pipeline.receipt_folder import ReceiptFolder
from pipeline.storages import open_storage
from schemas.settings import Config
from transforms.calibration import with_uncalibrated


def with_known(config: Config, receipts: str | None, lake: str) -> Config:
    """The configuration, with the receipts at a URI (None for none) and the calibration as it is now in the lake.

    Raises:
        UsageError: a URI names nothing.
        StorageError: the lake cannot be read.
    """
    storage, folder = open_storage(lake), None
    if receipts is not None:
        open_storage(receipts)  # or it is refused
        folder = ReceiptFolder(receipts)
    if not config.canaries:
        return config
    canaries = with_uncalibrated(config.canaries, read_calibration(storage))
    return msgspec.structs.replace(
        config, canaries=tuple(msgspec.structs.replace(canary, receipts=folder) for canary in canaries)
    )
