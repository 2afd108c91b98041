"""Objects that a queue's messages name: found in the inputs, and acknowledged once they are committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from apache_beam.metrics import Metrics

from pipeline.sqs_queue import Message, SqsQueue
from schemas.errors import ObjectForbidden, ObjectVanished
from schemas.objects import ObjectRef
from schemas.storage import Storage
from transforms.metrics import NAMESPACE
from transforms.object_refs import ref_of

MOST_MESSAGES = 1000
"""Messages taken in at a time: the rest waits in the queue, where it is safe."""

_SIDE_BY_SIDE = 16
"""Objects asked for at a time: one after the other, S3 answers some sixty a second."""


class Noticed:
    """What a queue told, until its objects are committed. Lost with the process: then the messages come again."""

    def __init__(self, queue: SqsQueue, inputs: Sequence[Storage]) -> None:
        self._queue = queue
        self._inputs = inputs
        self._waiting: dict[str, tuple[Message, set[str]]] = {}
        self.drained = False
        """Whether the queue had nothing more when it was last asked."""
        self.lost = False
        """Whether it told then of objects that were not given out: they are in a listing, or in messages of later."""

    @property
    def messages(self) -> list[Message]:
        """Those that are not acknowledged yet."""
        return [message for message, _ in self._waiting.values()]

    def receive(self, committed: Callable[[str], bool]) -> list[ObjectRef]:
        """References of all objects that new messages name, known or not. Errors: QueueError, StorageError.

        `committed` tells of a URI that comes too often whether its object has been done after all.
        """
        self.drained, self.lost = False, True
        messages = self._queue.receive(
            MOST_MESSAGES, wait_s=1, committed=committed
        )  # asked at once, a queue may hide what it has
        self.drained = len(messages) < MOST_MESSAGES
        with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="stat") as threads:
            found = list(threads.map(self._found, messages))  # all of them, or none is waited for
        self.lost = None in found
        for word in (word for message in messages for word in message.ignored):
            Metrics.counter(NAMESPACE, f"notices_ignored/{word.replace(' ', '_')}").inc()  # outside of a job: nothing
        for message, refs in zip(messages, found, strict=True):
            if refs is not None:
                self._waiting[message.message_id] = (message, {ref.uri for ref in refs})
        return [ref for refs in found for ref in refs or ()]

    def settle(self, known: Callable[[str], bool]) -> None:
        """Acknowledge messages all of whose objects are `known` to be committed; keep the others hidden."""
        for _, uris in self._waiting.values():
            uris -= {uri for uri in uris if known(uri)}
        done = [message for message, uris in self._waiting.values() if not uris]
        self._queue.acknowledge(done)
        for message in done:
            del self._waiting[message.message_id]

    def keep(self) -> None:
        """Keep what is being handled hidden from other readers."""
        self._queue.extend(self.messages)

    def _found(self, message: Message) -> list[ObjectRef] | None:
        """What the message names; an object that has gone since is no delivery, the listing would not show it either.

        None if one may not be read: the message comes again until the queue gives it up, and the listing has the rest.
        """
        refs = []
        for uri in message.uris:
            storage = next(each for each in self._inputs if uri.startswith(f"{each.root}/"))
            try:
                refs.append(ref_of(storage.root, storage.stat(uri.removeprefix(f"{storage.root}/"))))
            except ObjectVanished:
                continue
            except ObjectForbidden:
                return None
        return refs
