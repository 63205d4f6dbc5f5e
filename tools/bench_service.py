"""The service against a plain loop over the same batches, for `tools/bench.py`.

Three processes: one serves, one runs the plain loop, and this one asks, with many requests in flight. The two
take turns, so that whatever else the machine does disturbs both.
"""

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Iterator

from bench_child import Child, peak, say

IN_FLIGHT = 200  # requests that wait for their answer at any time


def serve(folder: str, engine: str) -> None:
    """Serve, as `python -m course_utils.service` does; a line on stdin asks for the batches so far."""
    from course_utils.service import __main__ as command
    from course_utils.service import predictor

    batches = []

    class Noting(predictor.Predictor):
        def __call__(self, texts):
            batches.append(list(texts))
            return super().__call__(texts)

    def tell():
        for _ in sys.stdin:
            say({"batches": batches, "cpu": time.process_time(), "peak": peak()})
            batches.clear()
        os._exit(0)

    command.Predictor = Noting
    threading.Thread(target=tell, daemon=True).start()
    command.main([folder, "--engine", engine, "--port", "0"])


def plain(folder: str, engine: str) -> None:
    """For each line of batches on stdin: run them one after the other, and tell the seconds."""
    from course_utils.service.predictor import Predictor

    predictor = Predictor(folder, engine)
    predictor(["one text, so that the first batch finds all in place"])
    print("ready", flush=True)
    for line in sys.stdin:
        begin, used = time.perf_counter(), time.process_time()
        for batch in json.loads(line):
            predictor(batch)
        say({"seconds": time.perf_counter() - begin, "cpu": time.process_time() - used, "peak": peak()})


async def load(port: int, texts: list[str], in_flight: int = IN_FLIGHT) -> float:
    """Ask for each text by a request of its own, `in_flight` at a time; the seconds.

    Raises `RuntimeError` if an answer is not 200.
    """
    waiting = iter(texts)

    async def client():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for text in waiting:
            body = json.dumps({"texts": [text]}).encode()
            head = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
        writer.close()

    begin = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(in_flight)))
    return time.perf_counter() - begin


def measure(folder: str | os.PathLike, engine: str, texts: list[str], times: int = 3) -> Iterator[dict]:
    """Rows a second of the service and of the plain loop over its batches, `times` times, taking turns."""
    with (
        Child("bench_service.py", "serve", folder, engine) as service,
        Child("bench_service.py", "plain", folder, engine) as loop,
    ):
        port = int(service.first.rsplit(":", 1)[1])
        asyncio.run(load(port, texts[:IN_FLIGHT]))
        before = service.ask()
        for _ in range(times):
            seconds = asyncio.run(load(port, texts))
            served = service.ask()
            plainly = loop.ask(served["batches"])
            sizes = sorted(map(len, served["batches"]))
            yield {
                "engine": engine,
                "service rows/s": len(texts) / seconds,
                "plain rows/s": len(texts) / plainly["seconds"],
                "ratio": plainly["seconds"] / seconds,
                "service CPU s": served["cpu"] - before["cpu"],
                "plain CPU s": plainly["cpu"],
                "median batch": sizes[len(sizes) // 2],
                "service peak MB": served["peak"],
                "plain peak MB": plainly["peak"],
            }
            before = served


if __name__ == "__main__":
    {"serve": serve, "plain": plain}[sys.argv[1]](*sys.argv[2:])
