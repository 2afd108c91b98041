"""What a queue's messages name, as a stream's source takes it in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_pipeline

from pipeline.noticed import Noticed
from pipeline.sqs_queue import Message
from transforms.metrics import NAMESPACE


class Queue:
    """Two messages that name nothing of ours."""

    def receive(self, _most: int, **_: Any) -> list[Message]:
        """Both."""
        return [Message("1", "r", (), ("elsewhere", "elsewhere", "test")), Message("2", "r", (), ("dead letter",))]


class _Receive(beam.DoFn):
    def process(self, _: int) -> Iterator[int]:
        queue: Any = Queue()
        yield len(Noticed(queue, ()).receive(lambda _: False))


def test_ignored_notices_are_counted() -> None:
    """By why, as metrics of the job that asks; a watch has no such job, and counts nothing."""
    pipeline = test_pipeline.TestPipeline(options=PipelineOptions(["--runner=FnApiRunner"]))
    _ = pipeline | beam.Create([1], reshuffle=False) | beam.ParDo(_Receive())
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    counted = {each.key.metric.name: each.committed for each in counters if each.key.metric.namespace == NAMESPACE}
    assert counted == {"notices_ignored/elsewhere": 2, "notices_ignored/test": 1, "notices_ignored/dead_letter": 1}
    queue: Any = Queue()
    assert Noticed(queue, ()).receive(lambda _: False) == []
