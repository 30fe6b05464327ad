"""Server: the page, its films, and a place for the answers; nothing is kept of who asks.

GET  /public.json         title, questions, number of trials
POST /raters              begin: {rater, trials, answered}
GET  /raters/TOKEN        go on: the same
POST /answers             {rater, trial, choices}: 204 once they are on the disk
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.staticfiles import StaticFiles

from codetalker.reading import parse_json
from codetalker.study.folder import FILMS, Study
from codetalker.study.page import PAGE
from codetalker.study.store import Rater, Refused, Store

SERVER = "server"
_LONGEST = 4096
"""Bytes of what the page sends."""
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_ENDING = 5
"""Seconds that answers under way have when the server is told to end."""


def app_of(study: Study, folder: Path, store: Store) -> FastAPI:
    """The application that serves a study."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.middleware("http")
    async def with_headers(request: Request, call_next: Any) -> Response:
        response = await call_next(request)
        response.headers.update(_HEADERS)
        kept = request.url.path.startswith(f"/{FILMS}/")
        response.headers["Cache-Control"] = "private, max-age=86400" if kept else "no-store"
        return response

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return Response(status_code=error.args[0])

    @app.get("/public.json")
    async def public() -> dict[str, object]:
        return study.public(SERVER)

    @app.post("/raters")
    async def begin(request: Request) -> dict[str, object]:
        await _sent(request)
        return _shown(study, await run_in_threadpool(store.begin))

    @app.get("/raters/{token}")
    async def go_on(token: str) -> dict[str, object]:
        return _shown(study, await run_in_threadpool(store.rater, token))

    @app.post("/answers")
    async def answer(request: Request) -> Response:
        match await _sent(request):
            case {"rater": str(rater), "trial": int(trial), "choices": dict(choices)} if all(
                isinstance(choice, str) for choice in choices.values()
            ):
                await run_in_threadpool(store.answer, rater, trial, choices)
                return Response(status_code=204)
        raise HTTPException(422)

    app.mount(f"/{FILMS}", StaticFiles(directory=folder / FILMS))
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def running(app: FastAPI) -> uvicorn.Server:
    """A server that writes no log of who asks."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_ENDING,
        )
    )


async def _sent(request: Request) -> Any:
    """The JSON that the page sends; the type keeps pages of other sites from sending any."""
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(415)
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _LONGEST:
            raise HTTPException(413)
    try:
        return parse_json(content)
    except ValueError:
        raise HTTPException(422) from None


def _shown(study: Study, rater: Rater) -> dict[str, object]:
    return {
        "rater": rater.token,
        "trials": study.trials(rater.number),
        "answered": sorted(rater.answered),
    }
