# SPDX-License-Identifier: Apache-2.0
"""
slurm.py: an experiment on a cluster of one machine: a munged, a slurmctld and a slurmd of the
test's own, in a folder of its own, on ports of its own, ended by their process numbers.
"""
import contextlib
import os
import secrets
import socket
import subprocess
import tempfile
import time

from runner import core

RUN = os.path.join(core.ROOT, "run")
NAME = "experiment/slurm"
PACKAGES = ("report", "experiment", "qemu", "slurm")
SWEEP = ["sweep", "arg.pages=16,32", "--guest",
         "build/guest/workload.elf:name=w memory=8M merge=1 merge_control=yes arg=rounds=0",
         "--cmdline", "merge_ms=60000", "--measure", "merged=merge.merged"]
CONF = """\
ClusterName=samepage
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=512 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def configure(folder):
    for name in ("state", "spool"):
        os.mkdir(os.path.join(folder, name))
    with open(os.path.join(folder, "munge.key"), "wb") as file:
        os.fchmod(file.fileno(), 0o400)
        file.write(secrets.token_bytes(1024))
    path = os.path.join(folder, "slurm.conf")
    with open(path, "w", encoding="ascii") as file:
        file.write(CONF.format(host=socket.gethostname().partition(".")[0], folder=folder,
                               ports=free_ports(2), cpus=os.cpu_count()))
    return path


def commands(folder, conf):
    """The daemons, in the order of their start; none of them goes to the background."""
    yield ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket",
           f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.pid",
           f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"]
    yield ["slurmctld", "-D", "-i", "-f", conf]
    yield ["slurmd", "-D", "-f", conf]


@contextlib.contextmanager
def cluster(folder):
    """Its environment; the daemons end with it."""
    conf, started = configure(folder), []
    try:
        for command in commands(folder, conf):
            with open(os.path.join(folder, f"{command[0]}.out"), "wb") as out:
                started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                                stderr=out))
            time.sleep(1)
        yield dict(os.environ, SLURM_CONF=conf)
    finally:
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def idle(environment, seconds=60):
    """Whether the node takes jobs."""
    until = time.monotonic() + seconds * core.SLOW
    while time.monotonic() < until:
        _, text = core.command(["sinfo", "-h", "-o", "%T"], env=environment)
        if text.strip() == "idle":
            return True
        time.sleep(1)
    return False


def logs(folder):
    """The ends of what the daemons wrote."""
    found = []
    for name in sorted(os.listdir(folder)):
        if name.endswith((".log", ".out")):
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                found.append(f"{name}:\n{file.read()[-1500:]}")
    return "\n".join(found)


def run():
    """A point that has no result yet runs as a job, and its counts are those of this machine."""
    if os.geteuid():
        return core.skipped(NAME, "slurmd needs root")
    words = [*SWEEP, "--slurm", "--measure", f"mark_{secrets.token_hex(4)}=merge.merged"]
    words[1] = f"arg.pages=16,{17 + secrets.randbelow(400)}"
    with tempfile.TemporaryDirectory(prefix="samepage-slurm-") as folder:
        os.chmod(folder, 0o755)
        with cluster(folder) as environment:
            if not idle(environment):
                return core.failed(NAME, f"no node is idle\n{logs(folder)}")
            status, output = core.command([RUN, *words], env=environment)
            _, jobs = core.command(["scontrol", "-o", "show", "jobs"], env=environment)
            text = logs(folder)
    if status:
        return core.failed(NAME, f"{text}\nstatus {status}\n{output}")
    done = jobs.count("JobState=COMPLETED")
    return core.passed(NAME) if done else core.failed(NAME, f"no job ran\n{jobs}\n{output}")
