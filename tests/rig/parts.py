#!/usr/bin/env python3
"""Prepare the real parts for a cluster: a container image, a model and programs.

    parts.py /srv/rig      makes it there (once `tests/rig/install` has run) and prints what is where

The image is for the container stand-in of the test cluster: a directory that holds only links, and the names
of what is bound from the host (its /usr and what belongs to it, and the rig's Python). `python3` in it is the
rig's, so `srun --container-image=IMAGE python3 -m dynamo.mocker`, `nats-server`, `etcd`, `nginx` and `aiperf`
work in it, and nothing of the host's other directories is seen.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import tiny_model

INSTALL = Path(__file__).resolve().parent / "install"
MODEL = "acme/tiny"
# parts of /usr; without them awk is missing, nginx has no user, and TLS has no certificates
OF_THE_HOST = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib64"),
    *(
        "/etc/alternatives",
        "/etc/ld.so.cache",
        "/etc/passwd",
        "/etc/group",
        "/etc/ssl",
        "/etc/nginx",
        "/etc/mime.types",
    ),
)
OWN = ("etc", "root", "run", "var/log/nginx", "var/lib/nginx", "var/tmp", "opt", "srv", "mnt")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PREFIXES = "import os, sys; print(sys.prefix, sys.base_prefix, os.path.realpath(sys.executable), sep='\\n')"


def where() -> Path:
    """Return the directory of the rig's virtual environment, whether or not it exists."""
    return Path(subprocess.run([INSTALL, "where"], check=True, capture_output=True, text=True).stdout.strip())


def find_rig() -> Path | None:
    """Return the rig's virtual environment; None if it is missing or incomplete."""
    venv = where()
    complete = (venv / "rig-complete").exists() or "SRTPLAN_RIG" in os.environ
    return venv if complete and (venv / "bin" / "python3").exists() else None


@dataclasses.dataclass(frozen=True)
class Rig:
    """Paths of the real parts, which are the same on every node and outside.

    `image` is a file like a .sqsh; `image_directory` has its content. `hf_home` must be mounted into containers.
    `configs` is a directory with `nats-server` and `etcd`, like srtctl's /configs.
    """

    venv: Path
    image: Path
    image_directory: Path
    hf_home: Path
    model: str
    model_path: Path
    configs: Path

    @classmethod
    def make(cls, directory: Path, venv: Path) -> Rig:
        """Create the parts in a directory that all nodes see, which takes half a second."""
        image = make_image(directory / "rig.sqsh", venv)
        configs = directory / "configs"
        configs.mkdir(parents=True, exist_ok=True)
        for name, program in (("nats-server", "/usr/sbin/nats-server"), ("etcd", "/usr/bin/etcd")):
            link(configs / name, program)
        hf_home = directory / "huggingface"
        model_path = tiny_model.make(hf_home, MODEL)
        return cls(venv, image, image.with_suffix(""), hf_home, MODEL, model_path, configs)

    def environment(self, infra: str) -> dict[str, str]:
        """Return the environment of Dynamo and aiperf in a container, with NATS and etcd on the host `infra`."""
        return {
            "NATS_SERVER": f"nats://{infra}:4222",
            "ETCD_ENDPOINTS": f"http://{infra}:2379",
            "DYN_REQUEST_PLANE": "nats",
            "HF_HOME": str(self.hf_home),
            "HF_HUB_OFFLINE": "1",
        }


def make_image(file: Path, venv: Path) -> Path:
    """Create the image NAME.sqsh and, next to it, the directory NAME with its content; return the file."""
    root = file.with_suffix("")
    for name in OWN:
        (root / name).mkdir(parents=True, exist_ok=True)
    python = [str(venv / "bin" / "python3"), "-c", PREFIXES]
    prefixes = subprocess.run(python, check=True, capture_output=True, text=True).stdout.split("\n")
    binds = []
    for path in OF_THE_HOST:
        if Path(path).is_symlink():  # /bin is usr/bin
            link(root / path[1:], str(Path(path).readlink()))
        elif Path(path).exists():
            binds.append(path)
    # a virtual environment links to another Python, which can be anywhere
    for prefix in dict.fromkeys([str(venv), *prefixes[:2], str(Path(prefixes[2]).parent.parent)]):
        if not any(Path(prefix).is_relative_to(bound) for bound in binds):
            binds.append(prefix)
    (root / ".host-binds").write_text("".join(f"{path}\n" for path in binds))
    (root / ".env").write_text(f"PATH={venv}/bin:{SYSTEM_PATH}\n")
    file.write_text(f"image: {root}\n")
    return file


def link(path: Path, target: str) -> None:
    """Create a symbolic link unless it exists."""
    if not path.is_symlink():
        path.symlink_to(target)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} DIRECTORY")
    rig = find_rig()
    if rig is None:
        sys.exit("no rig of real parts here; tests/rig/install makes it")
    for key, value in dataclasses.asdict(Rig.make(Path(sys.argv[1]).absolute(), rig)).items():
        print(f"{key}={value}")
