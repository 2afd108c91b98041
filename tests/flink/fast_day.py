"""The stream with a clock of its own, under which a simulated day passes in minutes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import msgspec
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.clock import now_us
from pipeline.config import load_config
from pipeline.graph import Plan
from pipeline.intake import LakeIntake
from pipeline.known_canaries import with_known
from pipeline.lake import read_lake
from pipeline.run import open_all
from pipeline.sqs_queue import open_queue
from pipeline.stream import BUNDLE_BYTES
from pipeline.stream_graph import StreamPlan, build_stream
from schemas.settings import Clock, Settings
from schemas.times import MINUTE_US, SECOND_US
from transforms.intake import TakeIn

LISTING_US = 30 * MINUTE_US
"""So that notices bring nearly everything, and the listing what they did not."""


class FastClock(msgspec.Struct, frozen=True):
    """Stands at `start_us` until it is started, then runs `speed` times as fast as the real one, in all processes."""

    start_us: int
    speed: int
    file: str

    def start(self) -> None:
        """Let it run from now on."""
        part = Path(f"{self.file}.part")
        part.write_text(str(now_us()), "utf-8")
        part.rename(self.file)

    def __call__(self) -> int:
        """The simulated time."""
        if not Path(self.file).exists():
            return self.start_us
        return self.start_us + (now_us() - int(Path(self.file).read_text("utf-8"))) * self.speed


def main(arguments: Sequence[str]) -> None:
    """As a process of its own: BUCKET LAKE CONFIG QUEUE START SPEED FILE and Beam's options."""
    bucket, lake_root, config_path, queue_url, start, speed, file, *options = arguments
    clock = FastClock(int(start), int(speed), file)
    config = with_known(load_config(Path(config_path).read_text("utf-8"), config_path), None, lake_root)
    settings = Settings("day", (bucket,), lake_root, Clock(clock(), None), config)
    opened = open_all(settings)
    queue = open_queue(queue_url, opened.inputs, opened.lake, settings.run_id)
    looks = LakeIntake(opened.inputs, opened.lake, "day", BUNDLE_BYTES, LISTING_US, SECOND_US, queue, clock)
    plan = Plan(settings, opened.inputs, opened.lake, opened.rules, read_lake(opened.lake, config))
    pipeline = beam.Pipeline(options=PipelineOptions([*options, "--job_name=day", "--streaming"]))
    build_stream(pipeline, StreamPlan(plan, TakeIn(looks)))
    pipeline.run()
