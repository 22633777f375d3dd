"""How many threads a library takes by itself: what is really there, on machines of all kinds and in containers."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import kernels_c
import pytest
import torch
from fake_machines import (
    Machine,
    capacities,
    cgroup1,
    cgroup2,
    clocked,
    container,
    desktop,
    hybrid,
    pi5,
    server,
)
from torch import nn

import sparsecc
from sparsecc.build.sources import SOURCES
from sparsecc.build.toolchain import find_compiler
from sparsecc.errors import UserError
from sparsecc.runtime import load

#: threads, CPUs that may be busy at once, whether that is all that the process has; then CPUs in their order
COUNT = """\
#define _GNU_SOURCE
#include <sched.h>
#include "scc_runtime.h"
#include "scc_wait.c"
#include "scc_files.c"
static int fake_affinity(pid_t pid, size_t bytes, cpu_set_t *set) {
  memset(set, 0, bytes);
  return pid || !scc_read_cpus("allowed", (scc_cpus *)(void *)set) ? -1 : 0;
}
#ifndef REAL
#define sched_getaffinity fake_affinity
#endif
#include "scc_speeds.c"
#include "scc_cores.c"
#include "scc_quota.c"
#include "scc_machine.c"
int main(void) {
  scc_machine machine;
  scc_core cores[SCC_MAX_THREADS];
  scc_count(&machine);
  printf("%d %d %d", machine.threads, machine.cpus, !machine.group);
  for (int i = 0, n = scc_list_cores(cores); i < n; ++i) printf(" %d", cores[i].cpu);
  return 0;
}
"""


def built(folder: Path, *options: str) -> Path:
    (folder / "count.c").write_text(COUNT)
    warnings = ("-Wall", "-Wextra", "-Werror", "-Wno-unused-function")
    compiler = find_compiler(None, triple="x86_64-linux-gnu")
    compiler.run((f"-I{SOURCES}", *options, *warnings, "count.c", "-o", "count"), folder=folder)
    return folder / "count"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that counts, of the machine whose files are in its working folder."""
    return built(tmp_path_factory.mktemp("count"), '-DSCC_ROOT="."')


def count(program: Path, machine: Machine, folder: Path, **environment: str) -> list[int]:
    machine.write(folder)
    done = subprocess.run([program], cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return list(map(int, done.stdout.split()))


def only(machine: Machine, allowed: str) -> Machine:
    return Machine(allowed, machine.files)


@pytest.mark.parametrize(
    ("machine", "threads"),
    [
        (desktop(), 8),
        (desktop(adjacent=True), 8),
        (desktop(name="thread_siblings_list"), 8),
        (only(desktop(), "0-3"), 4),
        (only(desktop(), "3,11"), 1),
        (only(desktop(), "3,11-13"), 3),
        (only(desktop(adjacent=True), "0-3"), 2),
        (hybrid(6, 8), 6),
        (hybrid(6, 8, mhz=None), 6),
        (only(hybrid(6, 8), "12-19"), 8),
        (only(hybrid(6, 8), "0-1,12-19"), 9),
        (hybrid(2, 8), 10),
        (pi5(), 4),
        (only(pi5(), "2"), 1),
        (server(64), 64),
        (server(64, allowed="32-63"), 32),
        (server(64, allowed="32-63,96-127"), 32),
        (server(512), 256),
        (Machine("2000-2003"), 4),
        (Machine("0-3"), 4),
        (Machine(""), 1),
        (clocked(5500, 5500, 5300, 5300, 4700, 4700), 6),
        (clocked(*[5100] * 4, *[3300] * 8), 12),
        (clocked(*[3000] * 6, *[1500] * 2), 6),
        (Machine("0-5", capacities(dict(enumerate([485] * 4 + [1024] * 2)))), 6),
        (Machine("0-7", capacities(dict(enumerate([414] * 4 + [1024] * 4)))), 4),
        (Machine("0-3", {"sys/devices/cpu_atom/cpus": "none", **clocked(-5, 0, 3000, 3000).files}), 4),
    ],
)
def test_cores(program: Path, tmp_path: Path, machine: Machine, threads: int) -> None:
    assert count(program, machine, tmp_path)[0] == threads


def test_one_cpu_of_each_core_comes_first_and_the_fastest_of_these(program: Path, tmp_path: Path) -> None:
    shown = count(program, hybrid(2, 3), tmp_path)
    assert shown == [2, 7, 0, 0, 2, 4, 5, 6, 1, 3]


def test_threads_are_bound_to_cpus_of_which_each_core_has_one(program: Path, tmp_path: Path) -> None:
    """Also where a list of all CPUs would be full before the last core has its turn."""
    threads, cpus, _, *order = count(program, server(300), tmp_path)
    assert (threads, cpus, order) == (256, 256, list(range(256)))


V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/cpu,cpuacct"


def v1(folder: str, quota: int, period: int = 100000) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": str(quota), f"{folder}/cpu.cfs_period_us": str(period)}


DOCKER = "/system.slice/docker-ab12.scope"
POD = "/kubepods.slice/kubepods-pod7.slice"


@pytest.mark.parametrize(
    ("group", "mounts", "files", "threads"),
    [
        # v2, as Docker and Kubernetes have it: the file system of groups begins at the container's
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "200000 100000"}, 2),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "250000 100000"}, 2),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "299999 100000"}, 2),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "100000 50000"}, 2),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "50000 100000"}, 1),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "1000 1000000"}, 1),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "max 100000"}, 64),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "9000000 100000"}, 64),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "some"}, 64),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "200000 0"}, 64),
        ("0::/", [cgroup2()], {f"{V2}/cpu.max": "-1 100000"}, 64),
        # with the host's names, and all of the host's groups or the container's alone
        (f"0::{DOCKER}", [cgroup2()], {f"{V2}{DOCKER}/cpu.max": "300000 100000"}, 3),
        (f"0::{DOCKER}", [cgroup2(DOCKER)], {f"{V2}/cpu.max": "300000 100000"}, 3),
        (f"0::{DOCKER}/inner", [cgroup2(DOCKER)], {f"{V2}/inner/cpu.max": "200000 100000"}, 2),
        (f"0::{DOCKER}2", [cgroup2(DOCKER)], {f"{V2}/cpu.max": "400000 100000", f"{V2}2/cpu.max": "1 1"}, 4),
        ("0::/../elsewhere", [cgroup2()], {f"{V2}/cpu.max": "500000 100000"}, 5),
        # quotas of all groups around it
        (f"0::{POD}/main", [cgroup2()], {f"{V2}{POD}/cpu.max": "400000 100000"}, 4),
        (
            f"0::{POD}/main",
            [cgroup2()],
            {f"{V2}{POD}/cpu.max": "400000 100000", f"{V2}{POD}/main/cpu.max": "max 100000"},
            4,
        ),
        (
            f"0::{POD}/main",
            [cgroup2()],
            {f"{V2}{POD}/cpu.max": "400000 100000", f"{V2}{POD}/main/cpu.max": "700000 100000"},
            4,
        ),
        (
            f"0::{POD}/main",
            [cgroup2()],
            {f"{V2}/kubepods.slice/cpu.max": "800000 100000", f"{V2}{POD}/main/cpu.max": "150000 100000"},
            1,
        ),
        # v1
        ("4:cpu,cpuacct:/docker/ab", [cgroup1("cpu,cpuacct", "/docker/ab")], v1(V1, 200000), 2),
        ("4:cpu,cpuacct:/docker/ab", [cgroup1("cpu,cpuacct", "/docker/ab")], v1(V1, 25000, 50000), 1),
        ("4:cpu,cpuacct:/docker/ab", [cgroup1("cpu,cpuacct", "/docker/ab")], v1(V1, -1), 64),
        ("4:cpu,cpuacct:/docker/ab", [cgroup1("cpu,cpuacct")], v1(f"{V1}/docker/ab", 300000), 3),
        ("4:cpu,cpuacct:/", [cgroup1("cpu,cpuacct")], v1(V1, 350000), 3),
        (
            "9:name=systemd:/\n5:cpuset:/a\n4:cpuacct,cpu:/docker/ab/in\n0::/",
            [cgroup1("cpuset"), cgroup2(mount="/sys/fs/cgroup/unified"), cgroup1("cpu,cpuacct", "/docker/ab")],
            {**v1(V1, 800000), **v1(f"{V1}/in", 900000), **v1("sys/fs/cgroup/cpuset/a", 100000)},
            8,
        ),
        ("3:cpu:/x\n2:memory:/", [cgroup1("cpu"), cgroup1("memory")], v1("sys/fs/cgroup/cpu/x", 600000), 6),
        # both: v2 has the controller in one of them only
        (
            "3:cpu:/x\n0::/y",
            [cgroup2(mount="/sys/fs/cgroup/unified"), cgroup1("cpu")],
            {**v1("sys/fs/cgroup/cpu/x", 600000), "sys/fs/cgroup/unified/y/cpu.max": "500000 100000"},
            5,
        ),
        # what mountinfo writes for a backslash and a blank
        (
            r"0::/a\x2db.scope/c",
            [cgroup2(r"/a\134x2db.scope", r"/sys/fs/c\040group")],
            {"sys/fs/c group/c/cpu.max": "200000 100000"},
            2,
        ),
        ("0::/", [], {f"{V2}/cpu.max": "200000 100000"}, 64),
        ("nothing", [cgroup2()], {f"{V2}/cpu.max": "200000 100000"}, 64),
        ("0::/" + "long/" * 500, [cgroup2()], {f"{V2}/cpu.max": "200000 100000"}, 2),
    ],
)
def test_quotas(
    program: Path, tmp_path: Path, group: str, mounts: list[str], files: Mapping[str, str], threads: int
) -> None:
    shown = count(program, container(group, mounts, files), tmp_path)
    assert shown[:3] == [threads, threads, threads < 64]


def test_quota_of_one_of_two_cores(program: Path, tmp_path: Path) -> None:
    machine = container("0::/", [cgroup2()], {f"{V2}/cpu.max": "100000 100000"}, cores=2)
    assert count(program, machine, tmp_path) == [1, 1, 1, 0, 1]


def test_quota_on_a_machine_with_two_cpus_on_a_core(program: Path, tmp_path: Path) -> None:
    """What is less counts."""
    limits = {6: 6, 8: 8, 12: 8}
    for quota, threads in limits.items():
        inside = container("0::/", [cgroup2()], {f"{V2}/cpu.max": f"{quota}00000 100000"})
        machine = Machine("0-15", {**desktop().files, **inside.files})
        assert count(program, machine, tmp_path)[:3] == [threads, quota, quota < 8]


@pytest.mark.parametrize(
    ("wish", "threads"),
    [
        ("3", 3), ("1", 1), ("12", 12), ("256", 256), ("1000", 256), ("99999999999999999999", 256),
        ("", 4), ("0", 4), ("-1", 4), ("+2", 4), (" 2", 4), ("2 ", 4), ("two", 4), ("2x", 4), ("0x2", 4), ("2.5", 4),
    ],
)  # fmt: skip
def test_the_user_says(program: Path, tmp_path: Path, wish: str, threads: int) -> None:
    shown = count(program, pi5(), tmp_path, SPARSECC_THREADS=wish)
    assert shown[:3] == [threads, 4, threads != 4]


@pytest.mark.parametrize("wish", ["two", "-1", "+2", " 2", "2x", "2.5", "\u0662"])
def test_python_says_what_c_can_not(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    """Unless nobody asks the environment."""
    monkeypatch.setenv("SPARSECC_THREADS", wish)
    said = re.escape(f"SPARSECC_THREADS: found {wish!r}, expected a number of threads such as 2, or 0")
    with pytest.raises(UserError, match=said):
        load(kernels_c.tiny_library())
    with load(kernels_c.tiny_library(), threads=2) as library:
        assert library.threads == 2
        with pytest.raises(UserError, match=said):
            library.threads = 0
        assert library.threads == 2
    with pytest.raises(UserError, match=said):
        sparsecc.compile(nn.Conv2d(1, 1, 1), "native", example_inputs=(torch.zeros(1, 1, 4, 4),))


def test_a_library_takes_what_is_counted_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPARSECC_THREADS", raising=False)
    real = built(tmp_path, "-DREAL", '-DSCC_ROOT=""')
    threads = count(real, Machine(""), tmp_path)[0]
    assert 1 <= threads <= len(os.sched_getaffinity(0))
    with load(kernels_c.tiny_library()) as library:
        assert library.threads == threads
        library.threads = 1
        library.threads = 0
        assert library.threads == threads
