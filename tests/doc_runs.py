"""How the documentation's commands are run: which are not, and why; what stands for long runs; what they are given."""

from __future__ import annotations

import re

_BOARD = "needs a board"
_CI = ".ci/run runs it"
_HOURS = "minutes to hours of measuring; its words are parsed"
_SERVICE = "waits for requests; tests/test_service_examples.py starts it and sends them"
_TOOLS = "needs llvm-mca and a folder of 100 MB for ARM; its words are parsed"
_TRITON = "installs a server; tests/test_service_examples.py uses such an environment"

#: command, as written -> why no test runs it
NOT_RUN = {
    "make demo": _CI,
    "make test": _CI,
    "sparsecc tune model.pt2 --log pi.jsonl --target aarch64 --runner 'ssh pi@host'": f"{_BOARD}; "
    "tests/test_tuning_runners.py has a program that stands for ssh",
    "sparsecc bench out/model.so --runner 'ssh pi@host'": f"{_BOARD}; tests/test_cli_bench.py has what stands for ssh",
    "python -m bench.studies.random_layers build": _HOURS,
    "python -m bench.studies.random_layers time": _HOURS,
    "python -m bench.studies.random_layers table": "shows what the two before it measure",
    "python -m bench.board make rpi4 kit/": "compiles nine networks; tests/test_board_record.py makes a smaller kit",
    "scp -r kit pi@raspberrypi:": _BOARD,
    "ssh pi@raspberrypi sh kit/run.sh": _BOARD,
    "scp pi@raspberrypi:kit/record.txt .": _BOARD,
    "python -m bench.board table record.txt": f"{_BOARD}'s record; tests/test_board_record.py shows one",
    "torchrun --nproc-per-node 8 -- examples/train_imagenet.py imagenet --net resnet50 --method subp --n 16 "
    "--sparsity 0.5": "needs ImageNet; tests/test_prune_examples.py runs the program with two processes",
    "scp -r out pi@raspberrypi:": _BOARD,
    "ssh pi@raspberrypi": f"{_BOARD}; the lines after it are run here, in a folder for this machine",
    "sparsecc bench out/model.so --runner 'ssh pi@raspberrypi' --layers": _BOARD,
    "sparsecc tune model.pt2 --target rpi4 --runner 'ssh pi@raspberrypi' --log pi.jsonl --trials 300": _BOARD,
    "python -m bench.emulate out/ --core cortex-a72 cortex-a53 --steps 10": _TOOLS,
    "python -m bench.emulate.system system/": _TOOLS,
    "python -m bench.emulate cell/ --rival mnn_sparse --system system/ --core cortex-a72": _TOOLS,
    "pip install '.[services]'": "installs; its extra is in pyproject.toml",
    "pip install '.[compiler,tune]'": "installs; its extras are in pyproject.toml",
    "pip install torch==2.13.0": "installs; constraints.txt has this version",
    "pip install './sparsecc[compiler]'": "installs; its extra is in pyproject.toml",
    "MODEL=model.so uvicorn --app-dir examples/services fastapi_app:app": _SERVICE,
    "python examples/services/ray_app.py model.so --replicas 2": _SERVICE,
    "tritonserver --model-repository=repository --model-control-mode=explicit --load-model=network": _SERVICE,
    "python -m venv triton-env && triton-env/bin/pip install 'numpy<2' rich && "
    "triton-env/bin/pip install --no-deps nvidia-pytriton": _TRITON,
    "SPARSECC_TRITON=$PWD/triton-env python -m pytest -m slow tests/test_service_examples.py": _TRITON,
}

#: what commands that take long are given besides: the last word of an option counts
_SHORTER = {
    r"sparsecc tune .*": "--trials 2",
    r"sparsecc targets --measure": "--seconds 0",
    r"python examples/train_detector.py .*": "--epochs 1 --scenes 32",
}

#: page -> what its reader has done before
BEFORE = {
    "docs/faq.md": "sparsecc compile model.pt2 --target x86-64-v3 -o model.a",
    "docs/raspberry-pi.md": "sparsecc compile model.pt2 -o out/",
    "docs/services.md": "sparsecc compile model.pt2 -o model.so",
    "docs/ten-minutes.md": "cp model.pt2 dense.pt2 && sparsecc compile model.pt2 -o pruned.so",
}


def as_run(line: str) -> str:
    """A command as the tests run it; empty if they don't."""
    if line in NOT_RUN:
        return ""
    return " ".join([line, *(more for pattern, more in _SHORTER.items() if re.fullmatch(pattern, line))])
