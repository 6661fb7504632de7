# SPDX-License-Identifier: Apache-2.0
"""
table.py: what a lab is, read from labs/N/lab.toml. An unknown key is an error.

    name      "The walker"        title
    about     "..."               one line for ./lab list
    seconds   20                  CPU seconds after which a case of a program counts as endless
    edits     ["Kconfig"]         files of the student beside those of the cuts
    solution  "solution.patch"    the solution, where it is not the tree itself

    [[cut]]                       a function that the working copy lacks
    file      "mm/table/walk.c"
    function  "walk_slots"
    stub      "return ERR_NO_MEMORY;"     what stands in its place; or
    remove    true                        nothing does; or
    keep      true                        it stays, and may be unused for a while

    [[task]]
    name      "map"               in the order of the handout
    about     "..."               what is to be done
    points    25                  of 100 in all
    functions ["map_count"]       cuts that belong to it
    files     ["mm/x.c"]          in place of them: a broken file costs its tasks
    look      "include/mm/walk.h: pgtable_map()"
    hints     ["...", "..."]
    after     ["walk"]            tasks that it builds upon

    [[task.program]]              cases of a cmocka program; each has the same weight
    name      "labs/1/walker"     as add_test() has it
    cases     ["..."]

    [[task.run]]                  a run on a machine; @ is the nonce of the run
    name      "hello"
    machine   "qemu-tcg"          as in tests/runs.toml, and so: cpus, memory, cmdline, modules,
    expect    ['^@\\| hello']     expect, forbid, icount, timeout
    weight    1                   cases that it counts for
"""
import dataclasses
import glob
import os
import tomllib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "labs")


class LabError(Exception):
    """A message for the user: a lab, a task or a file that does not exist, a broken table."""


@dataclasses.dataclass
class Cut:
    """A function that a lab takes out of the tree."""
    file: str
    function: str
    stub: str = ""
    remove: bool = False
    keep: bool = False


@dataclasses.dataclass
class Program:
    """Cases of one test program."""
    name: str
    cases: list


@dataclasses.dataclass
class Run:
    """A boot on an emulated machine."""
    name: str
    machine: str
    modules: list
    expect: list
    cpus: int = 1
    guest_cpus: int = 0
    memory: int = 128
    cmdline: str = ""
    forbid: list = dataclasses.field(default_factory=list)
    icount: bool = False
    timeout: int = 120
    weight: int = 1
    about: str = ""


@dataclasses.dataclass
class Task:
    """A part of a lab that has points."""
    name: str
    about: str
    points: int
    look: str
    functions: list = dataclasses.field(default_factory=list)
    files: list = dataclasses.field(default_factory=list)
    hints: list = dataclasses.field(default_factory=list)
    after: list = dataclasses.field(default_factory=list)
    program: list = dataclasses.field(default_factory=list)
    run: list = dataclasses.field(default_factory=list)

    def cases(self):
        """How many cases share the points."""
        return sum(len(one.cases) for one in self.program) + sum(one.weight for one in self.run)


@dataclasses.dataclass
class Lab:
    """A lab. files: what the student may change, and all that the grader takes from a copy."""
    number: int
    name: str
    about: str
    cut: list = dataclasses.field(default_factory=list)
    task: list = dataclasses.field(default_factory=list)
    edits: list = dataclasses.field(default_factory=list)
    seconds: int = 20
    solution: str = ""

    @property
    def folder(self):
        return os.path.join(FOLDER, str(self.number))

    @property
    def files(self):
        return sorted({*self.edits, *(cut.file for cut in self.cut)})

    def find_task(self, name):
        for task in self.task:
            if task.name == name:
                return task
        names = ", ".join(task.name for task in self.task)
        raise LabError(f"lab {self.number} has no task {name}; its tasks: {names}")


def read(kind, row, where):
    """A row of the table as a dataclass."""
    known = {field.name for field in dataclasses.fields(kind)}
    if not set(row) <= known:
        raise LabError(f"{where}: unknown key: {', '.join(sorted(set(row) - known))}")
    try:
        return kind(**row)
    except TypeError as error:
        raise LabError(f"{where}: {error}") from None


def read_task(row, where):
    row = dict(row)
    row["program"] = [read(Program, one, where) for one in row.get("program", [])]
    row["run"] = [read(Run, one, where) for one in row.get("run", [])]
    return read(Task, row, where)


def load(number):
    """Lab `number`, or LabError."""
    path = os.path.join(FOLDER, str(number), "lab.toml")
    if not os.path.exists(path):
        raise LabError(f"there is no lab {number}; ./lab list prints them")
    with open(path, "rb") as file:
        row = tomllib.load(file)
    where = os.path.relpath(path, ROOT)
    row["cut"] = [read(Cut, one, where) for one in row.get("cut", [])]
    row["task"] = [read_task(one, where) for one in row.get("task", [])]
    return read(Lab, {"number": number, **row}, where)


def numbers():
    """The labs that exist."""
    found = glob.glob(os.path.join(FOLDER, "*", "lab.toml"))
    return sorted(int(os.path.basename(os.path.dirname(path))) for path in found)
