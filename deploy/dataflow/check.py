"""`make dataflow-check`: hand the stream to Beam's Dataflow runner as a dry run, and look at what it would submit.

Nothing is sent anywhere, so no Google account is needed: Beam translates, checks and packages the job, and stops there.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, StandardOptions

from deploy.dataflow.graph import graph_problems
from deploy.dataflow.package import package_problems, staged_package
from pipeline.beam_arguments import cluster_arguments
from pipeline.config import load_config
from pipeline.stream import Pace, submit
from schemas.errors import TrailcanaryError, UsageError
from schemas.settings import Clock, Config, Limits, Settings
from schemas.times import SECOND_US

OPTIONS = (
    "--runner=DataflowRunner",
    "--dry_run=True",
    "--no_auth",
    "--setup_file=./setup.py",
    "--project=my-project",
    "--region=europe-west1",
    "--temp_location=gs://trailcanary-check/tmp",
    "--num_workers=1",
    "--max_num_workers=1",
    "--experiments=no_use_multiple_sdk_containers",
)
EXPERIMENTS = ("enable_streaming_engine", "use_runner_v2", "no_use_multiple_sdk_containers")
CONFIG = """
[[canary]]
name = "check"
accounts = ["111122223333"]
regions = ["eu-west-1"]
period = "5m"
grace = "15m"
[canary.match]
event_source = "ec2.amazonaws.com"
event_name = "RunInstances"
error_code = "Client.UnauthorizedOperation"
"""


def main() -> int:
    """Print what was found. Exit codes: 0 all is there · 1 something is missing, or the runner refused the job."""
    logging.basicConfig(level=logging.ERROR)
    config = load_config(CONFIG, "check")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            job = dry_run(config, Path(scratch), OPTIONS)
            problems = list(job_problems(job, config.allowed_lateness_us))
    except TrailcanaryError as error:
        problems = list(error.problems if isinstance(error, UsageError) else error.args)
    sys.stderr.writelines(f"dataflow-check: {problem}\n" for problem in problems)
    if not problems:
        steps, image = len(job.proto_pipeline.components.transforms), _images(job)
        sys.stdout.write(f"Accepted: {steps} transforms, streaming engine, Runner v2, {', '.join(image)}\n")
    return 1 if problems else 0


def dry_run(config: Config, scratch: Path, options: Sequence[str]) -> Any:
    """The job that the runner would submit, of an empty bucket and a new lake. Raises what `submit` raises."""
    bucket = scratch / "bucket"
    bucket.mkdir()
    settings = Settings(
        run_id="dataflow-check",
        inputs=(str(bucket),),
        output=str(scratch / "lake"),
        clock=Clock(0, None),
        config=config,
        limits=Limits(),
    )
    beam = PipelineOptions(cluster_arguments(options), streaming=True)
    return submit(settings, Pace(SECOND_US, SECOND_US), beam).job


def job_problems(job: Any, allowed_lateness_us: int) -> Iterator[str]:
    """What the job lacks."""
    if not job.options.view_as(StandardOptions).streaming:
        yield "the job is no streaming job"
    experiments = job.options.view_as(DebugOptions).experiments or []
    yield from (f"the experiment {name} is not set" for name in EXPERIMENTS if name not in experiments)
    yield from graph_problems(job.proto_pipeline, allowed_lateness_us)
    yield from package_problems(staged_package(job.proto_pipeline))


def _images(job: Any) -> list[str]:
    pools = job.proto_pipeline.components.environments.values()
    return sorted(name for pool in pools for name in pool.capabilities if name.startswith("beam:version:sdk_base:"))


if __name__ == "__main__":
    sys.exit(main())
