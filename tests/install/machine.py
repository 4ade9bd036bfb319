# SPDX-License-Identifier: EUPL-1.2

"""A clean Debian 12 in a directory, on the network of this machine: booted, with systemd as process 1 in namespaces of
its own; or, where this machine does not let that be, entered by chroot.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import do_without

DEBIAN = Path(__file__).parents[2] / "build" / "debian-12"
MIRROR = "http://deb.debian.org/debian"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = 60.0

_BOOT = """
set -e
cd "$1"
mount --make-rprivate /
mount --rbind . .
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs dev
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs tmpfs run
mkdir -p old
pivot_root . old
cd /
umount -l old
mount --make-rshared /  # by which credentials that systemd mounts reach services
export container=lxc
exec /lib/systemd/systemd --system
"""


def _tool(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:{PATH}")
    if found is None:
        do_without("debootstrap", "a Debian", f"there is no {name}; `apt-get install {name}` brings it")
    return found


def make_debian() -> None:
    """A Debian as it comes, kept for the next time."""
    tool = _tool("debootstrap")
    if os.geteuid() != 0:
        do_without("debootstrap", "a Debian", "debootstrap and chroot need root")
    unfinished = DEBIAN.with_name(f"{DEBIAN.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    DEBIAN.parent.mkdir(exist_ok=True)
    # a server has systemd; the rest is the least there is
    command = [tool, "--variant=minbase", "--include=systemd", "bookworm", str(unfinished), MIRROR]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        do_without("debootstrap", "a Debian", f"debootstrap cannot make one: {made.stdout[-500:]}")
    unfinished.rename(DEBIAN)


@dataclass
class Machine:
    """The Debian; `systemd` is its process 1 as this machine sees it, None where it is not booted, and `pip` what pip
    there is told of files of this machine.
    """

    root: Path
    systemd: int | None = None
    pip: dict[str, str] = field(default_factory=dict)

    def path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def run(self, commands: str) -> str:
        """Run commands as root's shell does, and stop at the first that fails; what they say."""
        ran = subprocess.run(
            self.inside("/bin/sh", "-e", "-x", "-c", commands),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(),
        )
        assert ran.returncode == 0, f"{commands}\n{ran.stdout}\n{ran.stderr}\n{self.journal()}"
        return ran.stdout

    def inside(self, *command: str) -> list[str]:
        if self.systemd is None:
            return [_tool("chroot"), str(self.root), *command]
        return [_tool("nsenter"), "--target", str(self.systemd), "--all", "--wd", "--", *command]

    def environment(self) -> dict[str, str]:
        """That of root, and how this machine gets to package indexes."""
        passed = {
            name: value
            for name, value in os.environ.items()
            if name.lower() in {"http_proxy", "https_proxy", "no_proxy"} or name.startswith("PIP_")
        }
        # it sees that it is in a directory by itself, but not in every container
        offline = {"SYSTEMD_OFFLINE": "1"} if self.systemd is None else {}
        return (
            passed
            | self.pip
            | offline
            | {
                "HOME": "/root",
                "PATH": PATH,
                "DEBIAN_FRONTEND": "noninteractive",
                "LC_ALL": "C.UTF-8",
            }
        )

    def journal(self) -> str:
        """The end of what the service said, where there is a journal."""
        if self.systemd is None:
            return ""
        command = self.inside("journalctl", "--unit", "stam-adapter", "--lines", "200", "--no-pager")
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def show(self, unit: str, *names: str) -> dict[str, str]:
        """Properties of a unit, as systemd has them."""
        said = self.run(f"systemctl show {unit} {' '.join(f'--property {name}' for name in names)}")
        return dict(line.split("=", 1) for line in said.splitlines())


@contextlib.contextmanager
def running_machine(root: Path) -> Iterator[Machine]:
    """A copy of the Debian, booted where that can be."""
    if not DEBIAN.exists():
        make_debian()
    subprocess.run(["cp", "--archive", "--reflink=auto", str(DEBIAN), str(root)], check=True)
    machine = Machine(root)
    for name in ("/etc/resolv.conf", "/etc/hosts"):
        shutil.copy(name, machine.path(name))
    with contextlib.ExitStack() as stack:
        _bring_what_pip_needs(machine, stack)
        machine.systemd = _boot(machine, stack)
        if machine.systemd is None:
            _mount(stack, "-t", "proc", "proc", str(machine.path("/proc")))
            _mount(stack, "--bind", "/dev", str(machine.path("/dev")))
        yield machine


def _mount(stack: contextlib.ExitStack, *arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
    stack.callback(subprocess.run, ["umount", "--lazy", arguments[-1]], check=True)


def _bring_what_pip_needs(machine: Machine, stack: contextlib.ExitStack) -> None:
    """Where pip of this machine takes packages and certificates from, the one inside finds them too."""
    for name in ("PIP_FIND_LINKS", "PIP_CERT", "PIP_CONFIG_FILE"):
        source = Path(os.environ.get(name, ""))
        if not source.is_absolute() or not source.exists():
            continue
        # in a place of its own: packages that are installed inside own the usual ones
        inside = f"/srv/{name.lower()}"
        machine.pip[name] = inside
        if source.is_file():
            shutil.copy(source, machine.path(inside))
        else:
            machine.path(inside).mkdir()
            _mount(stack, "--bind", str(source), str(machine.path(inside)))


def _boot(machine: Machine, stack: contextlib.ExitStack) -> int | None:
    """Start systemd in namespaces of its own; its process, or None where this machine does not let that be."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    groups = next((Path(place) for _, place, kind, *_ in mounts if kind == "cgroup2"), None)
    if groups is None:
        return None
    group = groups / f"stam-adapter-install-{os.getpid()}"
    try:
        group.mkdir()
        stack.callback(_remove_group, group)
    except OSError:
        return None
    script = f'echo $$ > {group}/cgroup.procs; exec "$@"'
    unshare = [_tool("unshare"), "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"]
    booting = subprocess.Popen(
        ["/bin/sh", "-e", "-c", script, "boot", *unshare, "/bin/sh", "-c", _BOOT, "boot", str(machine.root)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(_end, booting)
    machine.systemd = _until_up(machine, booting)
    return machine.systemd


def _until_up(machine: Machine, booting: subprocess.Popen[bytes]) -> int | None:
    children = Path(f"/proc/{booting.pid}/task/{booting.pid}/children")
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and booting.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            machine.systemd = int(children.read_text().split()[0]) if children.read_text() else None
            if machine.systemd is not None and _is_up(machine):
                return machine.systemd
        time.sleep(0.1)
    return None


def _is_up(machine: Machine) -> bool:
    asked = machine.inside("systemctl", "is-system-running")
    said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return said in {"running", "degraded"}


def _end(booting: subprocess.Popen[bytes]) -> None:
    """End process 1, and with it everything in its namespaces."""
    if booting.poll() is None:
        booting.send_signal(signal.SIGKILL)
        booting.wait()


def _remove_group(group: Path) -> None:
    until = time.monotonic() + PATIENCE
    while group.exists() and time.monotonic() < until:  # until the last process in it is gone
        for one in sorted(group.rglob("*"), reverse=True):
            if one.is_dir():
                with contextlib.suppress(OSError):
                    one.rmdir()
        with contextlib.suppress(OSError):
            group.rmdir()
        time.sleep(0.05)
