"""The examples of services run: right results under load and while the file is replaced, and an end without remains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S
from service_case import Images, Served, as_npy, ask, free_port, predict, served, under_load, until

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "examples" / "services"


def needed(*packages: str) -> None:
    """Without the packages the test fails: it was asked for."""
    missing = [name for name in packages if find_spec(name) is None]
    assert not missing, f"{', '.join(missing)}: not installed; pip install '.[services]', as docs/services.md says"


@contextmanager
def running(command: Sequence[str], log: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A service in a group of processes of its own; none of them outlives the block."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=os.environ | variables, start_new_session=True
        )  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=PATIENCE_S)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 4])
def test_fastapi(tmp_path: Path, batch: int) -> None:
    needed("fastapi", "uvicorn")
    net, port, log = served(tmp_path / "model.so", batch=batch), free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(FOLDER), "fastapi_app:app", "--port", str(port)]
    with running(command, log, MODEL=str(net.path), WORKERS="2") as process:

        def build() -> str:
            return str(json.loads(ask(port, "GET", "/model")[1])["build"])

        def reload() -> None:
            before = build()
            process.send_signal(signal.SIGHUP)
            until(lambda: build() != before)

        until(lambda: ask(port, "GET", "/model")[0] == 200, process)
        under_load(net, lambda images: predict(port, "/predict", images), reload)
        _refuses(port, "/predict", net)
        net.path.write_bytes(net.networks[0][:5000])  # half written: the network stays
        process.send_signal(signal.SIGHUP)
        until(lambda: "not loaded anew" in log.read_text())
        assert net.which(predict(port, "/predict", net.images), len(net.images)) == 1
        assert ended(process) in (0, -signal.SIGTERM), log.read_text()  # uvicorn hands the signal on when it is done
    assert "Traceback" not in log.read_text()


@pytest.mark.slow
def test_ray_serve(tmp_path: Path) -> None:
    """With two replicas."""
    needed("ray", "starlette")
    net, port, log = served(tmp_path / "model.so", batch=4), free_port(), tmp_path / "log"
    command = [sys.executable, str(FOLDER / "ray_app.py"), str(net.path), "--replicas", "2", "--port", str(port)]
    with running(command, log, RAY_USAGE_STATS_ENABLED="0") as process:

        def reload() -> None:
            process.send_signal(signal.SIGHUP)
            until(lambda: "loaded anew" in log.read_text())

        until(lambda: "ready" in log.read_text(), process)
        under_load(net, lambda images: predict(port, "/", images), reload)
        _refuses(port, "/", net)
        assert ended(process) == 0, log.read_text()
        until(lambda: not _of_session(process.pid))


@pytest.mark.slow
def test_triton(tmp_path: Path) -> None:
    """The server itself, as the package nvidia-pytriton brings it to an environment of its own."""
    packages, repository, log = _triton_packages(), tmp_path / "repository", tmp_path / "log"
    shutil.copytree(FOLDER / "triton", repository)
    shutil.copy(FOLDER / "pool.py", repository / "network" / "1")
    first, model = "from __future__ import annotations\n", repository / "network" / "1" / "model.py"
    paths = [str(packages), str(ROOT)]  # no setting tells its Python where packages are
    model.write_text(model.read_text().replace(first, f"{first}import sys\nsys.path[:0] = {paths!r}\n"))
    net, port = served(repository / "network" / "1" / "network.so", batch=4), free_port()
    variables = {"LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs")}
    command = _tritonserver(packages / "pytriton" / "tritonserver", tmp_path, repository, port)
    with running(command, log, **variables) as process:

        def reload() -> None:
            assert ask(port, "POST", "/v2/repository/models/network/load") == (200, b"")

        until(lambda: ask(port, "GET", "/v2/models/network/ready")[0] == 200, process)
        under_load(net, lambda images: _infer(port, images), reload)
        assert ended(process) == 0, log.read_text()


def _refuses(port: int, path: str, net: Served) -> None:
    """What is no image is told so."""
    for body in (b"nothing", as_npy(net.images[:, :2]), as_npy(net.images[:0]), as_npy(net.images.astype(np.float64))):
        status, message = ask(port, "POST", path, body)
        assert (status, bool(message)) == (422, True)


def _of_session(leader: int) -> list[int]:
    """Processes that a service has begun."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def _triton_packages() -> Path:
    """Where Triton's environment has its packages: NumPy 1, which this server's Python backend is made for."""
    environment = os.environ.get("SPARSECC_TRITON", "")
    found = list(Path(environment).glob("lib/python3*/site-packages")) if environment else []
    assert found, f"SPARSECC_TRITON={environment}: no environment with nvidia-pytriton; docs/services.md says how"
    return found[0]


def _tritonserver(server: Path, folder: Path, repository: Path, port: int) -> list[str]:
    """Its command; the Python of its backend is that of the tests."""
    backends, program = folder / "backends", server / "bin" / "tritonserver"
    shutil.copytree(server / "backends", backends)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = Path(
        shutil.copy(server / "python_backend_stubs" / version / "triton_python_backend_stub", backends / "python")
    )
    for path in (program, stub):
        path.chmod(0o755)
    return [
        str(program), f"--model-repository={repository}", f"--backend-directory={backends}", f"--http-port={port}",
        "--http-address=127.0.0.1", "--allow-grpc=false", "--allow-metrics=false", "--model-control-mode=explicit",
        "--load-model=network",
    ]  # fmt: skip


def _infer(port: int, images: Images) -> Images:
    """By Triton's HTTP protocol, numbers as JSON."""
    _, body = ask(port, "GET", "/v2/models/network")
    (port_in,) = json.loads(body)["inputs"]
    tensor = {
        "name": port_in["name"], "shape": images.shape, "datatype": "FP32", "data": images.ravel().tolist()
    }  # fmt: skip
    status, body = ask(port, "POST", "/v2/models/network/infer", json.dumps({"inputs": [tensor]}).encode())
    assert status == 200, body
    (result,) = json.loads(body)["outputs"]
    return np.array(result["data"], np.float32).reshape(result["shape"])
