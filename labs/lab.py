#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
lab.py: the commands of ./lab. labs/README.md is the handbook, docs/teaching.md the lecturer's.
"""
import argparse
import difflib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "scripts")]
from course import build, cut, export, grade, output, table, variant, working


def install(*purposes):
    """Installs the packages that a command needs, or exits with the one command that does."""
    script = os.path.join(table.ROOT, "scripts", "packages.sh")
    if subprocess.run([script, *purposes], check=False).returncode:
        sys.exit(1)


def list_labs(_):
    for number in table.numbers():
        lab = table.load(number)
        points = "" if lab.task else "  (no grader)"
        print(f"{number}  {lab.name:<38} {lab.about}{points}")
    return 0


def start(options):
    lab = table.load(options.number)
    folder = working.start(lab, options.folder)
    print(f"lab {lab.number}: {lab.name}\nthe working copy is {folder}")
    graded = f"./lab check {lab.number} grades the copy" if lab.task else "it has no grader"
    print(f"the handout is labs/{lab.number}/README.md; {graded}")
    for path, text in cut.skeleton(lab).items():
        names = cut.missing(lab, text)
        print(f"  {path}: " + (", ".join(names) if names else "to be edited"))
    return 0


def show_hint(options):
    lab = table.load(options.number)
    if not options.task:
        for task in lab.task:
            print(f"{task.name:<12} {task.about} ({len(task.hints)} hints)")
        print(f"./lab hint {lab.number} TASK [COUNT] prints the first hints of a task")
        return 0
    hints, number = lab.find_task(options.task).hints, working.mark(table.ROOT).get("variant")
    if number is not None:
        hints = [variant.rename_words(text, [lab], number) for text in hints]
    for count, text in enumerate(hints[: options.count], 1):
        print(f"{count} of {len(hints)}: {text}")
    return 0


def solution(options):
    """The way from the skeleton to a solution, as a patch."""
    lab = table.load(options.number)
    if working.mark(table.ROOT).get("labs"):
        raise table.LabError("this repository has no solutions")
    if lab.solution:
        with open(os.path.join(lab.folder, lab.solution), encoding="utf-8") as file:
            print(file.read(), end="")
        return 0
    for path, text in cut.skeleton(lab).items():
        with open(os.path.join(table.ROOT, path), encoding="utf-8") as file:
            whole = file.read()
        print("".join(difflib.unified_diff(text.splitlines(True), whole.splitlines(True),
                                           f"a/{path}", f"b/{path}")), end="")
    return 0


def reset(options):
    folder = working.reset(table.load(options.number))
    print(f"{folder} is as it was at the start; what was there is in its git log")
    return 0


def packages(lab, only, machines):
    rows = grade.items(lab, only)
    names = [row[2].machine for row in rows if not row[1] and machines]
    return ["base", "clang", "unit", *(["gcc"] if names else []),
            *(["qemu"] if any(name.startswith("qemu") for name in names) else []),
            *(["bochs"] if any(name.startswith("bochs") for name in names) else [])]


def check(options):
    lab = table.load(options.number)
    if not lab.task:
        raise table.LabError(f"lab {lab.number} has no grader: see labs/{lab.number}/README.md")
    folder = options.copy or working.place(lab.number)
    number = options.variant
    seed = options.seed or number or working.mark(table.ROOT).get("seed")
    install(*packages(lab, options.only, options.machine))
    if not build.is_built():
        print("the first check compiles the core: a minute or two", flush=True)
    result = grade.check(lab, working.student_files(lab, folder), options.only, options.machine,
                         output.Printer(), seed=seed, asan=options.asan,
                         first=options.first, stubs=options.stubs, variant=number)
    output.print_sums(result)
    if options.json:
        output.write_json(result, options.json)
    if options.junit:
        output.write_junit(result, options.junit)
    got, of = result.points()
    return 0 if got == of else 1


def make_export(options):
    numbers = [int(word) for word in options.labs.split(",")] if options.labs else table.numbers()
    export.make(options.folder, [table.load(number) for number in numbers],
                options.seed or options.variant, options.variant)
    print(f"{options.folder}: a repository for labs {', '.join(map(str, numbers))}")
    return 0


def parser():
    top = argparse.ArgumentParser(
        prog="./lab", description="Labs cut from this tree, and their grader.",
        epilog="SAMEPAGE_SLOW=N multiplies every bound on time by N, for a computer under load.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name, function, text, number=True):
        one = commands.add_parser(name, help=text, description=text)
        one.set_defaults(function=function)
        if number:
            one.add_argument("number", type=int, metavar="N")
        return one

    add("list", list_labs, "print the labs", number=False)
    one = add("start", start, "make the working copy of a lab")
    one.add_argument("folder", nargs="?", help="where; build/labs/N otherwise")
    one = add("check", check, "grade the working copy of a lab")
    one.add_argument("--copy", metavar="FOLDER", help="another folder with the student's files")
    one.add_argument("--only", metavar="TASK[/CASE]", help="one task, or one case of it")
    one.add_argument("--json", metavar="FILE", help="also as Gradescope's results.json")
    one.add_argument("--junit", metavar="FILE", help="also as JUnit XML")
    one.add_argument("--seed", type=int, help="of the random cases: a student's own")
    one.add_argument("--variant", type=int, metavar="V",
                     help="the files must be of this variant; it is the seed, too")
    one.add_argument("--asan", action="store_true", help="the programs under ASan: slower")
    one.add_argument("--first", action="store_true", help="stop at the first failure")
    one.add_argument("--stubs", action="store_true",
                     help="run also the tasks of which nothing is written")
    one.add_argument("--no-machine", dest="machine", action="store_false",
                     help="leave out what runs on an emulated machine")
    one = add("hint", show_hint, "print hints of a lab's task")
    one.add_argument("task", nargs="?", metavar="TASK")
    one.add_argument("count", nargs="?", type=int, default=1)
    add("solution", solution, "print a solution as a patch of the skeleton")
    add("reset", reset, "put the skeleton back; the branch keeps what was there")
    one = add("export", make_export, "make a repository for students: no solutions, no history",
              number=False)
    one.add_argument("folder")
    one.add_argument("--labs", metavar="N,N", help="the labs to cut; all otherwise")
    one.add_argument("--seed", type=int, help="seed of the random cases")
    one.add_argument("--variant", type=int, metavar="V",
                     help="a student's own variant: names of the helpers, and the seed")
    return top


def main():
    options = parser().parse_args()
    origin = working.mark(table.ROOT).get("origin")
    if origin and options.command in ("check", "hint", "reset", "solution", "list"):
        return subprocess.run([os.path.join(origin, "lab"), *sys.argv[1:]], check=False).returncode
    try:
        status = options.function(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:  # | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except table.LabError as error:
        print(f"./lab: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
