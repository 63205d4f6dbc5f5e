"""Micro-batching: while the model works on one batch, the texts that come in become the next."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class Full(Exception):
    """More texts are waiting than the batcher takes."""


class Batcher:
    """Calls `predict(texts)` in one thread, with up to `most` texts at a time, in the order of their coming.

    Nobody waits for a batch to fill: a text that comes while the model is idle goes at once and alone. Under
    load the batches grow by themselves, since more texts come in while the model is busy. `sizes` counts how
    many batches of each size there were.

    Use it inside a running event loop: `start()` first, `await ask(texts)` any number of times, and
    `await stop()`, which answers what is waiting and takes nothing new.
    """

    def __init__(self, predict: Callable[[list[str]], list], most: int = 32, waiting: int = 1024):
        self.predict, self.most, self.waiting = predict, most, waiting
        self.sizes: dict[int, int] = {}

    def start(self) -> None:
        """Begin to work; the event loop must be running."""
        self._queue: asyncio.Queue = asyncio.Queue()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._task = asyncio.get_running_loop().create_task(self._work())
        self._open = True

    def count(self) -> int:
        """How many texts are waiting for the model."""
        return self._queue.qsize()

    async def ask(self, texts: list[str]) -> list:
        """The answers to `texts`, in their order.

        Raises `Full` if they do not fit into the queue, or if the batcher is stopping, and whatever `predict`
        raises.
        """
        if not self._open or self._queue.qsize() + len(texts) > self.waiting:
            raise Full
        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in texts]
        for text, answer in zip(texts, answers, strict=True):
            self._queue.put_nowait((text, answer))
        return await asyncio.gather(*answers)

    async def stop(self) -> None:
        """Answer what is waiting, then end."""
        self._open = False
        await self._queue.put(None)
        await self._task
        self._thread.shutdown()

    async def _work(self):
        loop = asyncio.get_running_loop()
        last = False
        while not last:
            batch = [await self._queue.get()]
            while len(batch) < self.most and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            last = None in batch
            batch = [item for item in batch if item and not item[1].cancelled()]  # cancelled: the client left
            if not batch:
                continue
            self.sizes[len(batch)] = self.sizes.get(len(batch), 0) + 1
            try:
                found = await loop.run_in_executor(self._thread, self.predict, [text for text, _ in batch])
            except Exception as error:
                found = [error] * len(batch)
            for (_, answer), result in zip(batch, found, strict=True):
                if answer.cancelled():
                    continue
                if isinstance(result, Exception):
                    answer.set_exception(result)
                else:
                    answer.set_result(result)
