"""Machines that the runtime takes for its own: the kernel's files in a folder, and CPUs that a thread may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CPUS = "sys/devices/system/cpu"


@dataclass(frozen=True)
class Machine:
    """``allowed`` is a list of CPUs as the kernel writes it, "0-3,8"; ``files`` are paths and what they hold."""

    allowed: str
    files: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        for name, text in {"allowed": self.allowed, **self.files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n")


def siblings(cores: Sequence[Sequence[int]], *, name: str = "core_cpus_list") -> dict[str, str]:
    """Which CPUs are of one core."""
    return {f"{CPUS}/cpu{cpu}/topology/{name}": ",".join(map(str, core)) for core in cores for cpu in core}


def frequencies(megahertz: Mapping[int, int]) -> dict[str, str]:
    return {f"{CPUS}/cpu{cpu}/cpufreq/cpuinfo_max_freq": f"{mhz}000" for cpu, mhz in megahertz.items()}


def capacities(of: Mapping[int, int]) -> dict[str, str]:
    return {f"{CPUS}/cpu{cpu}/cpu_capacity": str(capacity) for cpu, capacity in of.items()}


def hybrid(large: int, small: int, *, mhz: tuple[int, int] | None = (5000, 3800)) -> Machine:
    """A laptop of Intel's with two kinds of cores, two CPUs on each large one; the kernel calls all equally fast."""
    pairs = [(2 * i, 2 * i + 1) for i in range(large)]
    singles = [(2 * large + i,) for i in range(small)]
    count = 2 * large + small
    of = dict(enumerate(mhz[cpu >= 2 * large] for cpu in range(count))) if mhz else {}
    kinds = {
        "sys/devices/cpu_core/cpus": f"0-{2 * large - 1}",
        "sys/devices/cpu_atom/cpus": f"{2 * large}-{count - 1}",
    }
    alike = capacities(dict.fromkeys(range(count), 1024))
    return Machine(f"0-{count - 1}", {**siblings([*pairs, *singles]), **frequencies(of), **kinds, **alike})


def desktop(*, adjacent: bool = False, name: str = "core_cpus_list") -> Machine:
    """Eight cores with two CPUs each, numbered in either way."""
    cores = [(2 * i, 2 * i + 1) if adjacent else (i, i + 8) for i in range(8)]
    return Machine("0-15", siblings(cores, name=name))


def server(cores: int, *, allowed: str | None = None) -> Machine:
    """Two sockets with half of the cores each, two CPUs on a core."""
    return Machine(allowed or f"0-{2 * cores - 1}", siblings([(i, i + cores) for i in range(cores)]))


def pi5() -> Machine:
    one = range(4)
    known = {
        **siblings([(i,) for i in one]), **capacities(dict.fromkeys(one, 1024)),
        **frequencies(dict.fromkeys(one, 2400)),
    }  # fmt: skip
    return Machine("0-3", known)


def clocked(*megahertz: int) -> Machine:
    """Cores of which nothing is known but their highest frequencies."""
    return Machine(f"0-{len(megahertz) - 1}", frequencies(dict(enumerate(megahertz))))


#: lines of mountinfo before and after those of groups
_BEFORE = "23 30 0:21 / /proc rw,nosuid - proc proc rw\n24 30 0:22 / /sys ro shared:7 - sysfs cpu rw"
_AFTER = f"40 30 0:50 / / rw - overlay overlay rw,lowerdir={'/layer:' * 900}/last,upperdir=/ - cgroup2 x rw"


def container(group: str, mounts: Sequence[str], files: Mapping[str, str], *, cores: int = 64) -> Machine:
    """A process in a group: ``/proc/self/cgroup``, lines of ``mountinfo`` from root to options, the groups' files."""
    shown = "\n".join(f"{31 + i} 30 0:{26 + i} {mount}" for i, mount in enumerate(mounts))
    return Machine(
        f"0-{cores - 1}",
        {"proc/self/cgroup": group, "proc/self/mountinfo": f"{_BEFORE}\n{shown}\n{_AFTER}", **files},
    )


def cgroup2(root: str = "/", mount: str = "/sys/fs/cgroup") -> str:
    return f"{root} {mount} ro,nosuid shared:9 - cgroup2 cgroup rw,nsdelegate"


def cgroup1(controllers: str, root: str = "/", mount: str | None = None) -> str:
    return f"{root} {mount or f'/sys/fs/cgroup/{controllers}'} ro,nosuid - cgroup cgroup rw,{controllers}"
