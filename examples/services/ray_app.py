"""A network on Ray Serve: replicas of one core each, to which images of several requests go together.

    python examples/services/ray_app.py model.so --replicas 2 --port 8000

SIGHUP makes all replicas load the file anew while requests run, SIGTERM ends the service and what it started.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
from typing import Any

import numpy as np
import ray
from pool import Images, Pool
from ray import serve
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sparsecc.errors import InputError

#: requests whose images one replica computes together
MOST_REQUESTS = 8


@serve.deployment(ray_actor_options={"num_cpus": 1}, max_ongoing_requests=4 * MOST_REQUESTS)
class Network:
    """A replica: one library of one thread, on the one core that Ray counts for it."""

    def reconfigure(self, config: dict[str, Any]) -> None:
        """Load the file; called before the first request, and again when the deployment's ``user_config`` changes."""
        self.pool = Pool(config["path"], workers=1)

    @serve.batch(max_batch_size=MOST_REQUESTS, batch_wait_timeout_s=0.002)
    async def together(self, requests: list[Images]) -> list[Images]:
        """Results of each request, computed as one batch."""
        ends = np.cumsum([len(images) for images in requests])
        results = await asyncio.to_thread(self.pool, np.concatenate(requests))
        return np.split(results, ends[:-1])

    async def __call__(self, request: Request) -> Response:
        """Images as .npy in, results as .npy out; a wrong shape is told before it meets other requests."""
        try:
            images = np.load(io.BytesIO(await request.body()), allow_pickle=False)
            self._check(images)
        except (ValueError, EOFError, InputError) as error:
            return PlainTextResponse(str(error), 422)
        file = io.BytesIO()
        np.save(file, await self.together(images))
        return Response(file.getvalue(), media_type="application/octet-stream")

    def _check(self, images: Images) -> None:
        expected = self.pool.image_shape
        if images.dtype != np.float32 or images.shape[1:] != expected or not len(images):
            raise InputError(f"found {images.dtype} {images.shape}, expected float32 (n, {str(expected)[1:]}")


def deploy(path: str, *, replicas: int, version: int) -> None:
    """Start the service; where it runs and only ``version`` is another, each replica loads the file anew."""
    config = {"path": os.path.abspath(path), "version": version}
    serve.run(Network.options(num_replicas=replicas, user_config=config).bind())


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    signals = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT}
    here = {
        "PYTHONPATH": os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), os.environ.get("PYTHONPATH", "")])
    }
    ray.init(include_dashboard=False, runtime_env={"env_vars": here})
    serve.start(http_options={"host": "127.0.0.1", "port": options.port})
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # after Ray's processes have begun, which need theirs
    version = 0
    deploy(options.path, replicas=options.replicas, version=version)
    print("ready", flush=True)
    while signal.sigwait(signals) == signal.SIGHUP:
        version += 1
        deploy(options.path, replicas=options.replicas, version=version)
        print(f"loaded anew: {version}", flush=True)
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
