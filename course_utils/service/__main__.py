"""`python -m course_utils.service FOLDER`: serve the classifier of a folder until Ctrl+C or SIGTERM."""

import argparse
import os
import socket
import sys

from course_utils.errors import CourseError
from course_utils.service.app import create_app
from course_utils.service.batching import Batcher
from course_utils.service.predictor import Predictor


def main(arguments: list[str] | None = None) -> int:
    """Serve until the process is told to stop; 0, or 2 with a sentence on stderr if it cannot begin.

    The first line on stdout says the address. Port 0 takes a free one.
    """
    parser = argparse.ArgumentParser(prog="python -m course_utils.service", description=__doc__)
    parser.add_argument("folder", help="where save_pretrained wrote the model and the tokenizer")
    parser.add_argument("--engine", choices=["torch", "onnx"], default="torch")
    parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 is reached from this machine only")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=32, help="texts in one batch, at most")
    parser.add_argument("--longest", type=int, default=128, help="tokens of a text that are read")
    parser.add_argument("--threads", type=int, default=0, help="processor cores for the model; 0: all")
    given = parser.parse_args(arguments)
    # Before torch is loaded: its threads shall not wait in a busy loop (see `environment.setup`), since here
    # they would take the processor from the web server and its clients, and these would keep them waiting.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        import uvicorn
        from transformers.utils import logging

        logging.disable_progress_bar()
        predictor = Predictor(given.folder, given.engine, given.longest, given.threads)
        listening = socket.create_server((given.host, given.port), backlog=1024)
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: type  pip install -e .[service]", file=sys.stderr)
        return 2
    except (CourseError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    predictor(["one text, so that the first request finds all in place"])
    batcher = Batcher(predictor, given.batch)
    print("serving on http://{}:{}".format(*listening.getsockname()[:2]), flush=True)
    config = uvicorn.Config(create_app(predictor, batcher), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
