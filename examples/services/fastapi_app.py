"""A network behind FastAPI: images as .npy to /predict, results as .npy back.

    MODEL=model.so uvicorn --app-dir examples/services fastapi_app:app --port 8000

One process, with a library of one thread for each core that it may use. ``kill -HUP`` makes it load the file anew while
requests run; SIGTERM lets those that have begun finish.
"""

from __future__ import annotations

import asyncio
import io
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from anyio import to_thread
from fastapi import FastAPI, HTTPException, Request, Response
from pool import Images, Pool

from sparsecc.errors import InputError, LibraryError

#: images of a request; a longer body is not read to its end
MOST_IMAGES = 64
_HEADER_BYTES = 4096

log = logging.getLogger("uvicorn.error")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the network before the first request, and again whenever the process gets SIGHUP."""
    cores = len(os.sched_getaffinity(0))
    app.state.pool = Pool(os.environ["MODEL"], workers=int(os.environ.get("WORKERS", cores)))
    loop, reloads = asyncio.get_running_loop(), set()

    def reload() -> None:
        task = loop.create_task(to_thread.run_sync(_reload, app.state.pool))
        reloads.add(task)  # a task that nobody holds may be collected before it is done
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, reload)
    yield
    loop.remove_signal_handler(signal.SIGHUP)


def _reload(pool: Pool) -> None:
    try:
        pool.load()
    except LibraryError as error:  # half written: the old network goes on serving
        log.error("not loaded anew: %s", error)
    else:
        log.info("loaded %s", pool.build)


app = FastAPI(lifespan=lifespan)


@app.get("/model")
async def model(request: Request) -> dict[str, object]:
    """Which network serves, and what it takes."""
    pool: Pool = request.app.state.pool
    return {"build": pool.build, "image_shape": pool.image_shape, "workers": pool.workers}


@app.post("/predict")
async def predict(request: Request) -> Response:
    """Results of the images in the body, in their order."""
    pool: Pool = request.app.state.pool
    most_bytes = _HEADER_BYTES + 4 * MOST_IMAGES * int(np.prod(pool.image_shape))
    images = _read(await _body(request, most_bytes))
    try:
        results = await to_thread.run_sync(pool, images)  # waits for a free library, and computes without the GIL
    except InputError as error:
        raise HTTPException(422, str(error)) from error
    file = io.BytesIO()
    np.save(file, results)
    return Response(file.getvalue(), media_type="application/octet-stream")


async def _body(request: Request, most_bytes: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most_bytes:
            raise HTTPException(413, f"more than {MOST_IMAGES} images; send them in several requests")
    return bytes(body)


def _read(body: bytes) -> Images:
    try:
        images = np.load(io.BytesIO(body), allow_pickle=False)
    except Exception as error:  # whatever NumPy raises on bytes that are no array
        raise HTTPException(422, "the body is no .npy file of numbers; write it with numpy.save") from error
    if not isinstance(images, np.ndarray) or images.ndim < 1 or not len(images):
        raise HTTPException(422, "expected one array of at least one image, its first dimension the images")
    return images
