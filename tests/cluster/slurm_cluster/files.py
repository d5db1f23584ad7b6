"""The files of a cluster: slurm.conf and its neighbours, from a ClusterConfig.

Each value here was found to matter on Slurm 22.05, the Slurm of Debian 12. `write` makes the whole state
directory; nothing is written elsewhere.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from slurm_cluster.config import LOGIN, LOGIN_ADDRESS, ClusterConfig

HERE = Path(__file__).resolve().parent
NVIDIA_MAJOR = 195


def write(config: ClusterConfig) -> None:
    """Make the state directory of a cluster that is not running yet."""
    top = config.directory
    for name in ("etc/slurm", "state", "log", "run/container", "spool", "dev", "munge", "images"):
        (top / name).mkdir(parents=True)
    for name in config.node_names:
        (top / "spool" / name).mkdir()
        (top / "spool" / f"{name}.tmp").mkdir()
    (top / "munge").chmod(0o700)
    if config.auth == "munge":
        (top / "munge" / "key").write_bytes(os.urandom(128))
        (top / "munge" / "key").chmod(0o400)
    # gres.conf refuses regular files as GPUs, and Flags=CountOnly makes slurmd report none: so, device nodes
    for gpu in range(config.gpus):
        os.mknod(top / "dev" / f"nvidia{gpu}", 0o20666, os.makedev(NVIDIA_MAJOR, gpu))
    plugins = [pyxis_plugin(config)] if config.pyxis else []
    texts = {
        "hosts": hosts(config),
        "resolv.conf": "# no name server\noptions timeout:1 attempts:1\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
        "slurm/slurm.conf": slurm_conf(config),
        "slurm/gres.conf": gres_conf(config),
        "slurm/cgroup.conf": "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\n",
        "slurm/plugstack.conf": "".join(f"{line}\n" for line in plugins),
    }
    for name, text in texts.items():
        (top / "etc" / name).write_text(text)


def hosts(config: ClusterConfig) -> str:
    """Return /etc/hosts: the only name service that the cluster has."""
    lines = ["127.0.0.1 localhost", f"{LOGIN_ADDRESS} {LOGIN}"]
    lines += [f"{config.address(i)} {name}" for i, name in enumerate(config.node_names)]
    return "\n".join(lines) + "\n"


def gres_conf(config: ClusterConfig) -> str:
    """Return the GPUs of a node, for slurmd."""
    if not config.gpus:
        return ""
    kind = f"Type={config.gpu_type} " if config.gpu_type else ""
    return f"Name=gpu {kind}File={config.directory}/dev/nvidia[0-{config.gpus - 1}]\n"


def slurm_conf(config: ClusterConfig) -> str:
    """Return slurm.conf: a real site's, with short time-outs and all state in one directory."""
    top = config.directory
    names = f"{config.prefix}[0-{config.nodes - 1}]"
    kind = f"{config.gpu_type}:" if config.gpu_type else ""
    gres = f" Gres=gpu:{kind}{config.gpus}" if config.gpus else ""
    socket = f"\nAuthInfo=socket={top}/run/munge.socket" if config.auth == "munge" else ""
    text = f"""\
ClusterName=testcluster
SlurmctldHost={LOGIN}
SlurmUser=root
SlurmdUser=root
AuthType=auth/{config.auth}
CredType=cred/{config.auth}{socket}

StateSaveLocation={top}/state
SlurmdSpoolDir={top}/spool/%n
SlurmctldPidFile={top}/run/slurmctld.pid
SlurmdPidFile={top}/run/slurmd.%n.pid
SlurmctldLogFile={top}/log/slurmctld.log
SlurmdLogFile={top}/log/slurmd.%n.log
SlurmctldDebug={config.debug}
SlurmdDebug={config.debug}
PlugStackConfig={top}/etc/slurm/plugstack.conf
MailProg=/bin/true

ProctrackType=proctrack/{config.proctrack}
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={top}/log/jobcomp.txt
PropagateResourceLimits=NONE

SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=1,max_rpc_cnt=0
{"GresTypes=gpu" if config.gpus else ""}

# the nodes claim more CPUs than the machine has
SlurmdParameters=config_overrides
ReturnToService=2
TreeWidth=50
SlurmdTimeout={config.slurmd_timeout}
KillWait={config.kill_wait}
# `scontrol show job` answers for an hour after a job's end
MinJobAge=3600
MessageTimeout=30

NodeName={names} CPUs={config.cpus} RealMemory=1000000{gres} State=UNKNOWN
PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE DefaultTime=60 State=UP
EnforcePartLimits=ALL
"""
    return text + "".join(f"{line}\n" for line in config.conf)


def pyxis_plugin(config: ClusterConfig) -> str:
    """Compile the container stand-in and return its line for plugstack.conf."""
    plugin = config.directory / "pyxis_standin.so"
    source = HERE / "spank" / "pyxis_standin.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-o", plugin, source], check=True)
    images = config.images or f"{config.directory}/images"
    return (
        f"required {plugin} images={images} work={config.directory}/run/container "
        f"log={config.log('containers.log')}"
    )
