"""App: the paths of the server, as OpenAPI describes them.

POST /v1/animate              a recording in, a file with a face out
GET  /v1/models               what there is
WS   /v1/stream               a voice as it is spoken; see `streams`
POST /audio_to_blendshapes    as the players of NeuroSync call it
GET  /healthz, /metrics       for who runs it
GET  /                        the page in which the whole model runs
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response, Security, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from codetalker.errors import CodeTalkerError, one_line
from codetalker.motion import parse_fps
from codetalker.server.access import Access, Guard
from codetalker.server.limits import Limits, Refused
from codetalker.server.messages import first_of
from codetalker.server.metrics import Metrics
from codetalker.server.models import Models
from codetalker.server.recordings import Recordings
from codetalker.server.schemas import (
    ACCESS,
    BLENDSHAPES,
    FILE,
    RECORDING,
    SOUND,
    Animate,
    Health,
    ModelList,
    media_type,
    refusals,
)
from codetalker.server.streams import Streams
from codetalker.server.work import NEUROSYNC, NEUROSYNC_FPS

_log = logging.getLogger(__name__)
_TOKEN = [
    Security(HTTPBearer(auto_error=False)),
    Security(APIKeyHeader(name="API-Key", auto_error=False)),
]
"""For OpenAPI; `Guard` asks for it."""
_FREE = ("/healthz", "/openapi.json")


class Server:
    """What a server is of.

    Args:
        models: that it has.
        limits: of what is asked.
        access: who may ask.
        page: folder of the page, or None.
    """

    def __init__(
        self,
        models: Models,
        limits: Limits | None = None,
        access: Access | None = None,
        page: Path | None = None,
    ) -> None:
        limits, access = limits or Limits(), access or Access()
        self.models, self.metrics = models, Metrics()
        self.streams = Streams(models, limits, self.metrics)
        self._limits = limits
        self.app = FastAPI(
            title="CodeTalker",
            version=version("codetalker-face"),
            description="Speech in, a talking 3D face out. Live streams: WebSocket /v1/stream.",
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
        )
        self._add_paths(_TOKEN if access.token else [])
        pages = _add_page(self.app, page) if page else ()
        _add_handlers(self.app)
        if access.origins:
            self.app.add_middleware(
                CORSMiddleware,
                allow_origins=list(access.origins),
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "API-Key", "Content-Type"],
            )
        self.app.add_middleware(Guard, access=access, free=(*_FREE, *pages))
        self.app.add_middleware(_Counted, metrics=self.metrics)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        self._recordings = Recordings(self.models, self._limits, self.metrics)
        yield
        await self._recordings.close()
        self.streams.close()

    def _add_paths(self, token: list[Any]) -> None:
        app = self.app

        @app.post(
            "/v1/animate",
            response_class=FileResponse,
            responses={200: FILE, **refusals(*RECORDING)},
            openapi_extra=SOUND,
            dependencies=token,
        )
        async def animate(
            request: Request,
            query: Annotated[Animate, Query()],
            folder: Annotated[Path, Depends(_folder)],
        ) -> Response:
            """A recording in, of any container and codec; a file with a face out."""
            fps = None if query.fps is None else parse_fps(query.fps)
            out = await self._recordings.animated(
                request,
                folder,
                query.format,
                query.model,
                style=query.style,
                strength=query.strength,
                fps=fps,
                seed=query.seed,
                blinks=None if query.blinks else False,
                life=None if query.life == "off" else query.life,
            )
            return FileResponse(out, media_type=media_type(query.format), filename=out.name)

        @app.post(
            "/audio_to_blendshapes",
            response_class=FileResponse,
            responses={200: BLENDSHAPES, **refusals(*RECORDING)},
            openapi_extra=SOUND,
            dependencies=token,
        )
        async def audio_to_blendshapes(
            request: Request, folder: Annotated[Path, Depends(_folder)]
        ) -> Response:
            """As NeuroSync's players call it: a WAV in, 60 rows a second of 61 values out, in the
            order of Live Link Face; 18 rows at least."""
            out = await self._recordings.animated(
                request, folder, NEUROSYNC, None, fps=NEUROSYNC_FPS
            )
            return FileResponse(out, media_type="application/json")

        @app.get(
            "/v1/models", response_model=ModelList, responses=refusals(*ACCESS), dependencies=token
        )
        async def models() -> dict[str, Any]:
            """The models, their styles, and what they give."""
            return {
                "models": self.models.facts(),
                "for_files": self.models.for_files,
                "for_streams": self.models.for_streams,
            }

        @app.get(
            "/healthz",
            response_model=Health,
            responses={503: {"model": Health, "description": "It is going away"}, **refusals(403)},
        )
        async def healthz() -> Response:
            """Whether it takes more."""
            closing = self.streams.closing
            return JSONResponse({"status": "closing" if closing else "ok"}, 503 if closing else 200)

        @app.get(
            "/metrics",
            response_class=Response,
            responses={
                200: {"content": {"text/plain": {"schema": {"type": "string"}}}},
                **refusals(*ACCESS),
            },
            dependencies=token,
        )
        async def metrics() -> Response:
            """For Prometheus."""
            return Response(self.metrics.text(), media_type=self.metrics.content_type)

        @app.websocket("/v1/stream")
        async def stream(socket: WebSocket) -> None:
            await self.streams.serve(socket)


def _folder() -> Iterator[Path]:
    """For one request, gone when it has been answered."""
    with TemporaryDirectory(prefix="codetalker-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _add_page(app: FastAPI, folder: Path) -> Sequence[str]:
    """Every file of the page has a path of its own, so that no other file has one."""
    paths = {f"/{f.relative_to(folder).as_posix()}": f for f in folder.rglob("*") if f.is_file()}
    paths["/"] = folder / "index.html"
    for path, file in paths.items():

        async def answer(request: Request, file: Path = file) -> Response:
            return FileResponse(file)

        app.add_route(path, answer, ["GET"], include_in_schema=False)
    return tuple(paths)


def _add_handlers(app: FastAPI) -> None:
    """Whatever is refused is told as `{"error": "one line"}`."""

    def told(status: int, message: str, headers: Any = None) -> Response:
        return JSONResponse({"error": one_line(message)}, status, headers)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return told(error.status, str(error), error.headers)

    @app.exception_handler(CodeTalkerError)
    async def wrong(_: Request, error: CodeTalkerError) -> Response:
        return told(422, str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return told(422, first_of(error.errors()))

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        return told(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return told(500, "the server has failed; its log says how")


class _Counted:
    """ASGI: counts the answers, by path and status."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                path = getattr(route, "path", "other")
                self._metrics.requests.labels(path, str(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counted)
