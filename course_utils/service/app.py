"""The service's HTTP side: what it takes, what it refuses and how, health and version."""

import asyncio
import contextlib
import importlib.metadata
import json
from typing import TYPE_CHECKING

from course_utils.service.batching import Batcher, Full

if TYPE_CHECKING:
    from fastapi import FastAPI

    from course_utils.service.predictor import Predictor

TEXTS, LONGEST = 32, 4_000  # texts a request, characters a text
BODY = 1_000_000  # bytes a request
DRAINED = 20_000_000  # bytes of a refused request that are read and thrown away, so that its sender sees why
SECONDS = 10  # for a request to arrive


def create_app(predictor: "Predictor", batcher: Batcher) -> "FastAPI":
    """The service, as an application that an ASGI server such as uvicorn runs.

    POST /predict takes {"texts": [one to 32 texts of up to 4,000 characters]} and gives {"predictions": [for
    each text its "label", "score" and "truncated"]}. GET /health and GET /version take nothing. Every refusal
    is {"error": a sentence}: 400 no JSON, 404, 405, 408 too slow, 413 too large, 422 not what is taken, 503
    too much waiting.
    """
    from fastapi import FastAPI, Request
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import JSONResponse
    from pydantic import BaseModel, ConfigDict, Field, StrictStr, field_validator
    from starlette.exceptions import HTTPException

    class Texts(BaseModel):
        model_config = ConfigDict(extra="forbid")
        texts: list[StrictStr] = Field(min_length=1, max_length=TEXTS)

        @field_validator("texts")
        @classmethod
        def usable(cls, texts):
            for i, text in enumerate(texts):
                if not text.strip():
                    raise ValueError(f"text {i} is blank")
                half = next((at for at, sign in enumerate(text) if "\ud800" <= sign <= "\udfff"), None)
                if half is not None:
                    raise ValueError(f"text {i} is not Unicode: character {half} is half of a pair")
                if len(text) > LONGEST:
                    raise ValueError(f"text {i} has {len(text):,} characters, and {LONGEST:,} are taken")
            return texts

    @contextlib.asynccontextmanager
    async def lifespan(app):
        batcher.start()
        yield
        await batcher.stop()

    app = FastAPI(title="Text classification", lifespan=lifespan)

    def refusal(status, sentence, headers=None):
        return JSONResponse({"error": sentence}, status, headers)

    @app.exception_handler(RequestValidationError)
    async def not_taken(request: Request, error: RequestValidationError):
        first = error.errors()[0]  # its "input" may hold anything, a lone surrogate too: it is not sent back
        if first["type"] == "json_invalid":
            return refusal(400, "The body is not JSON.")
        where = ".".join(str(part) for part in first["loc"] if part != "body")
        what = first["msg"].removeprefix("Value error, ")
        sentence = f"{where}: {what}" if where else what
        return refusal(422, sentence.encode("ascii", "backslashreplace").decode())

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException):
        unreadable = error.status_code == 400
        return refusal(error.status_code, "The body is not JSON in UTF-8." if unreadable else error.detail)

    @app.exception_handler(Full)
    async def full(request: Request, error: Full):
        return refusal(503, "Too many texts are waiting: try again in a second.", {"Retry-After": "1"})

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception):
        return refusal(500, "The service failed at this request.")  # the server's log says more

    @app.post("/predict")
    async def predict(body: Texts):
        return {"predictions": await batcher.ask(body.texts)}

    @app.get("/health")
    async def health():
        return {"status": "ok", "waiting": batcher.count()}

    @app.get("/version")
    async def version():
        return {
            "service": importlib.metadata.version("course-utils"),
            "engine": predictor.engine,
            "sha256": predictor.sha256,
            "labels": predictor.labels,
        }

    app.add_middleware(Limit)
    return app


class Limit:
    """Reads a whole request before the application sees it, and refuses what is too large or too slow."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, size, more = b"", 0, True
        try:
            async with asyncio.timeout(SECONDS):
                while more and size <= DRAINED:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return
                    part, more = message.get("body", b""), message.get("more_body", False)
                    size += len(part)
                    body = body + part if size <= BODY else b""
        except TimeoutError:
            await _refuse(send, 408, f"The request took more than {SECONDS} seconds to arrive.")
            return
        if size > BODY:
            await _refuse(send, 413, f"The body has more than {BODY:,} bytes.")
            return
        given = False

        async def replay():
            nonlocal given
            if given:
                return await receive()  # the client may leave
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, replay, send)


async def _refuse(send, status, sentence):
    body = json.dumps({"error": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what is left of the request is not read
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
