# SPDX-License-Identifier: Apache-2.0
"""
store.py: build/experiments/, where points are kept by content.

    images/HASH/NAME    copies of the build's files: a build meanwhile changes nothing
    jobs/KEY.json       what a point boots
    points/KEY.json     its raw result
    points/KEY.failed   why it has none
    hashes.json         of files outside of the build, by path, size and time

A key is the hash of all that decides a result: the content of the image and of the guests, the
command lines, the machine, the emulator's version. So a build of the same content, an edit of the
measures or of a figure leave each result in force.
"""
import contextlib
import hashlib
import json
import os
import shutil

import builder
import guests
import machine
import provenance
from output import Stop

FOLDER = os.path.join(machine.ROOT, "build", "experiments")
# Moves when job.py keeps other things than before.
FORMAT = 1
# Files above this size stay where they are.
COPIED = 64 << 20


def path(*parts):
    return os.path.join(FOLDER, *parts)


def write_json(name, value):
    """A file in the store; an interruption leaves the old one, and so does a loss of power."""
    whole = path(name)
    os.makedirs(os.path.dirname(whole), exist_ok=True)
    with open(f"{whole}.{os.getpid()}", "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{whole}.{os.getpid()}", whole)


def read_json(name):
    """A file in the store, or None."""
    try:
        with open(path(name), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


class Files:
    """Copies of the files that points boot, and their hashes."""

    def __init__(self):
        self.known = read_json("hashes.json") or {}
        self.done = {}

    def digest(self, file):
        stat = os.stat(file)
        mark = f"{os.path.abspath(file)} {stat.st_size} {stat.st_mtime_ns}"
        if mark not in self.known:
            sha = hashlib.sha256()
            with open(file, "rb") as data:
                while block := data.read(1 << 20):
                    sha.update(block)
            self.known[mark] = sha.hexdigest()
        return self.known[mark]

    def kept(self, file):
        """(path, hash) of a copy that stays the same."""
        if file not in self.done:
            digest = self.digest(file)
            to = path("images", digest[:16], os.path.basename(file))
            if os.path.getsize(file) > COPIED:
                to = os.path.abspath(file)
            elif not os.path.exists(to) or os.path.getsize(to) != os.path.getsize(file):
                os.makedirs(os.path.dirname(to), exist_ok=True)
                shutil.copy2(file, f"{to}.{os.getpid()}")
                os.replace(f"{to}.{os.getpid()}", to)
            self.done[file] = (to, digest)
        return self.done[file]

    def save(self):
        write_json("hashes.json", self.known)


def image_of(where, boot):
    """What the emulator loads: QEMU the 32-bit image."""
    image = os.path.join(where, "samepage.elf")
    return image if boot["machine"] in machine.BOCHS_MODELS else image + "32"


def emulator(boot):
    tool = "bochs" if boot["machine"] in machine.BOCHS_MODELS else "qemu"
    return provenance.line_of(provenance.TOOLS[tool])


def valgrind():
    return provenance.line_of(["valgrind", "--version"])


def job_of(point, where, files, modules):
    """What a point runs, and the hashes that its key is made of."""
    boot = point.boot
    job = {"axes": point.axes, "exact": point.exact(), "timeout": boot["timeout"],
           "samples": boot["samples"]}
    made = {"format": FORMAT, "repeat": boot.get("repeat", "1")}
    if boot["program"]:
        program, digest = files.kept(os.path.join(where, "tests", "bench", boot["program"]))
        job |= {"program": program, "args": boot["args"]}
        made |= {"program": digest, "args": boot["args"], "tool": valgrind()}
        return job, made
    image, digest = files.kept(image_of(where, boot))
    kept = [(*files.kept(file), line) for file, line in modules]
    words = {name: boot[name] for name in ("machine", "cpus", "memory", "icount", "cmdline",
                                           "samples")}
    job |= {**words, "image": image, "modules": [[file, line] for file, _, line in kept],
            "lines": guests.vms(boot["guests"])}
    made |= {**words, "image": digest, "modules": [[hash_of, line] for _, hash_of, line in kept],
             "tool": emulator(boot)}
    return job, made


def prepare(points):
    """Builds what the points boot, and gives each its key and its job."""
    programs = sorted({point.boot["program"] for point in points} - {""})
    machines = [point for point in points if not point.boot["program"]]
    where = builder.build("default") if machines else ""
    host = builder.build("bench", programs) if programs else ""
    files, modules = Files(), {}
    for point in points:
        lines = tuple(point.boot["guests"])
        if lines not in modules and not point.boot["program"]:
            modules[lines] = guests.modules_of(where, lines)
        try:
            job, made = job_of(point, host if point.boot["program"] else where, files,
                               modules.get(lines, []))
        except FileNotFoundError as error:
            raise Stop(f"{error.filename}: there is no such file") from None
        text = json.dumps(made, sort_keys=True)
        point.key = hashlib.sha256(text.encode()).hexdigest()[:24]
        job["made_of"] = made
        if not os.path.exists(path("jobs", f"{point.key}.json")):
            write_json(f"jobs/{point.key}.json", job)
    files.save()


def made_of(key):
    """What decides a point's result: hashes of the files, words, the emulator's version."""
    return (read_json(f"jobs/{key}.json") or {}).get("made_of", {})


def result(key):
    return read_json(f"points/{key}.json")


def missing(keys):
    """The keys without a result. What is no JSON, as a full disk leaves it, is removed."""
    found = []
    for key in dict.fromkeys(keys):
        if result(key) is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path("points", f"{key}.json"))
            found.append(key)
    return found


def failure(key):
    """Why a point has no result, or None."""
    try:
        with open(path("points", f"{key}.failed"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None
