"""A FastAPI service whose work is done by a function of JavaScript: ``fastapi run app.py``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

import pybridge as pb

SLUGS = Path(__file__).with_name("slugs.mjs")
node = pb.AsyncNode()


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """One Node.js process for the life of the service."""
    async with node:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/slug")
async def slug(title: str) -> dict[str, str]:
    """The title as it stands in an address. Hundreds of requests may wait at once; none of them has a thread."""
    try:
        return {"slug": await node.call(SLUGS, "slug", title, timeout=5)}
    except pb.RemoteError as error:
        raise HTTPException(422, error.remote_message) from error


@app.get("/words")
async def words(title: str) -> StreamingResponse:
    """Line by line, as JavaScript gives them and the client takes them."""

    async def lines() -> AsyncIterator[str]:
        async for word in await node.call(SLUGS, "words", title):
            yield f"{word}\n"

    return StreamingResponse(lines(), media_type="text/plain")
