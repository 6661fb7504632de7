# SPDX-License-Identifier: Apache-2.0
"""
build.py: the tree that is graded: this tree, with the lab's files of the student over it.

So tests, headers and build files are this tree's, whatever a copy has made of its own. A file that
does not compile is replaced by its skeleton, which costs the tasks of its functions and no others.

    build/labs/tree/         one for all labs, so that the next check compiles what changed
            host/            the test programs, by clang; without ASan but for --asan
            machine/         the image and the guests, by gcc

A test program and the student's code are one process, so build.py also holds what the student's
objects may refer to: the rooms of the hypervisor, and not exit(), write() or the test library.
"""
import contextlib
import fcntl
import os
import re
import shutil
import subprocess

from course import cut, table
import tree

PLACE = os.environ.get("SAMEPAGE_LAB_TREE") or os.path.join(table.ROOT, "build", "labs", "tree")
SLOW = float(os.environ.get("SAMEPAGE_SLOW") or 1)
ROOMS = ("lib", "mm", "arch")
OUTSIDE = re.compile(
    r"(arch_\w+|sim_(cpus|memory|memory_size|no_memory|this_cpu)|mem(cpy|set|cmp|move)|bcmp|str\w+"
    r"|__stack_chk_fail|race_point|__wrap_\w+|_?_?(asan|ubsan)_\w+|_GLOBAL_OFFSET_TABLE_"
    r"|__asan\w*|__ubsan\w*|__tls_get_addr)$"
)
FORBIDDEN = re.compile(r"\b(__asm__|__asm|asm|constructor|console_write)\b")
TIMED_OUT = -1
LAUNCHER = os.environ.get("SAMEPAGE_LAB_LAUNCHER", "")


@contextlib.contextmanager
def locked():
    """One grader at a time in the tree."""
    os.makedirs(PLACE, exist_ok=True)
    with open(os.path.join(PLACE, ".lock"), "w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def command(words, timeout=900):
    """Runs a program in the tree; (status, output). status is TIMED_OUT after a long time."""
    timeout *= max(SLOW, 1)
    try:
        done = subprocess.run(words, cwd=PLACE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return TIMED_OUT, f"{words[0]} ran for more than {timeout:g} s"
    return done.returncode, done.stdout


def put(path, data):
    """Writes a file of the tree, unless it is the same."""
    full = os.path.join(PLACE, path)
    with contextlib.suppress(FileNotFoundError):
        with open(full, "rb") as file:
            if file.read() == data:
                return
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "wb") as file:
        file.write(data)
    if os.path.exists(os.path.join(table.ROOT, path)):
        shutil.copymode(os.path.join(table.ROOT, path), full)


def synchronise(files):
    """Makes the graded tree: this tree, `files` (path -> text) in place of its own."""
    names = {*tree.files(), *files, cut.HEADER}
    for name in names:
        if name in files:
            data = files[name].encode()
        elif name == cut.HEADER:
            data = cut.header().encode()
        else:
            with open(os.path.join(table.ROOT, name), "rb") as file:
                data = file.read()
        if name.endswith(("CMakeLists.txt", ".cmake")):
            data = data.replace(b"-Werror", b"-Wno-error")
        put(name, data)
    for folder, folders, here in os.walk(PLACE):
        folders[:] = [one for one in folders
                      if not (folder == PLACE and one in ("host", "machine", "build"))]
        for name in here:
            path = os.path.relpath(os.path.join(folder, name), PLACE)
            if path not in names and path != ".lock" and not path.endswith(".pyc"):
                os.remove(os.path.join(PLACE, path))


def configure(kind, options=(), again=False):
    """
    cmake for host or machine, unless it has run with the same options: then ninja runs it where a
    file of the build has changed. LabError with its output.
    """
    where, now = os.path.join(PLACE, kind), " ".join(options)
    used = os.path.join(where, "lab-options")
    with contextlib.suppress(FileNotFoundError):
        with open(used, encoding="utf-8") as file:
            made = os.path.exists(os.path.join(where, "build.ninja")) and file.read() == now
        if made and not again:
            return
    words = ["cmake", "-G", "Ninja", "-S", PLACE, "-B", where]
    if kind == "host":
        words += ["-DCMAKE_C_COMPILER=clang", "-DSAMEPAGE_TARGET=host",
                  "-DSAMEPAGE_DEFCONFIG=debug"]
    else:
        words += ["-DCMAKE_C_COMPILER=gcc", "-DSAMEPAGE_TARGET=machine"]
    if LAUNCHER:
        words.append(f"-DCMAKE_C_COMPILER_LAUNCHER={LAUNCHER}")
    status, output = command([*words, *options])
    if status:
        raise table.LabError(output)
    with open(used, "w", encoding="utf-8") as file:
        file.write(now)


def is_built():
    """Has a check compiled the core before?"""
    return os.path.exists(os.path.join(PLACE, "host", "labs", "liblab_verdict.so"))


def ninja(kind, *targets):
    return command(["ninja", "-C", os.path.join(PLACE, kind), *targets])


def object_of(path):
    """The object of a C file in the host build, as ninja names it."""
    room, _, rest = path.partition("/")
    return f"{room}/CMakeFiles/{room}.dir/{rest}.o"


def errors_in(output):
    """The compiler's complaints, without the commands."""
    lines = output.splitlines()
    kept = [line for line in lines
            if re.search(r"(error|warning|note):|undefined reference|^\s*\d* \|", line)]
    return "\n".join((kept or lines)[:12])


def broken_files(files):
    """Those of the student's C files that do not compile: path -> the complaints."""
    found = {}
    for path in files:
        if path.endswith(".c"):
            status, output = ninja("host", object_of(path))
            if status:
                found[path] = errors_in(output)
    return found


def symbols(path, *options):
    done = subprocess.run(["nm", *options, path], capture_output=True, text=True, check=False)
    return {line.split()[-1].partition("@")[0] for line in done.stdout.splitlines() if line.split()}


def room_symbols():
    """All global symbols that the hypervisor's rooms define."""
    found = set()
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(PLACE, "host", room)):
            paths = [os.path.join(folder, name) for name in names if name.endswith(".o")]
            if paths:
                done = subprocess.run(["nm", "-g", "--defined-only", *paths], capture_output=True,
                                      text=True, check=False)
                found |= {line.split()[-1] for line in done.stdout.splitlines()
                          if len(line.split()) == 3}
    return found


def library_symbols():
    """What cmocka and libc define: not for the student to define again."""
    found = set()
    for name in ("libcmocka.so.0", "libc.so.6"):
        for folder in ("/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib"):
            path = os.path.join(folder, name)
            if os.path.exists(path):
                found |= symbols(path, "-D", "--defined-only")
                break
    return found


def trespasses(files):
    """What the student's files do that has no place in a room: path -> a sentence."""
    found, rooms, library = {}, room_symbols(), library_symbols()
    for path, text in files.items():
        if not path.endswith(".c"):
            continue
        with open(os.path.join(table.ROOT, path), encoding="utf-8") as file:
            allowed = set(FORBIDDEN.findall(file.read()))
        words = sorted(set(FORBIDDEN.findall(text)) - allowed)
        obj = os.path.join(PLACE, "host", object_of(path))
        outside = sorted(name for name in symbols(obj, "-u")
                         if name not in rooms and not OUTSIDE.match(name))
        again = sorted(symbols(obj, "-g", "--defined-only") & library)
        if words or outside or again:
            names = ", ".join([*words, *outside, *again])
            found[path] = f"{path} uses what is not of the hypervisor: {names}"
    return found
