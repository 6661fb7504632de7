# SPDX-License-Identifier: Apache-2.0
"""
labs.py: the labs' grader as a product (labs/, docs/teaching.md).

    labs/names            every function that a lab.toml names is in its file; points sum up to 100
    labs/N/solution       100 points
    labs/N/skeleton       0 points, no warning of the compiler, and twice the same JSON
    labs/N/boot           the skeleton's image boots as far as it can and says what is missing
    labs/N/mutant/NAME    a solution with a mistake loses points in the task of its row
    labs/N/alternative    a correct solution of another kind, a patch of the skeleton: 100 points
    labs/export           an exported repository has no solution and grades itself
    labs/variant          one of a variant has names of its own, which a copied file lacks
    labs/faults           a loop, a panic and a broken file cost their tasks; JUnit by its schema

A row of labs/N/mutants.toml: `task`, and file, replace, by as in tests/mutants, or `mutant`, the
name of a row there. Plain ./test takes one lab, another one at each commit: its skeleton and some
of its mutants, on the host. ./test labs and ./test --long take all.
"""
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import tomllib

from runner import core, mutants

sys.path.insert(0, os.path.join(core.ROOT, "labs"))
TREE = os.path.join(core.ROOT, "build", "labs", "test-tree")
os.environ["SAMEPAGE_LAB_TREE"] = TREE  # before course.build reads it
from course import build, cut, programs, runs, table, variant
import machine

NEED = ("base", "clang", "unit", "labs")
KEYS = {"task", "file", "replace", "by", "mutant"}
SAMPLE = 2


def lab_files(lab):
    return {path: cut.whole(path) for path in lab.files}


def patched(files, patch):
    """Files with a patch applied: path -> text."""
    with tempfile.TemporaryDirectory(prefix="samepage-lab-") as folder:
        fill(folder, files)
        done = subprocess.run(["git", "apply", "--whitespace=nowarn", patch], cwd=folder,
                              capture_output=True, text=True, check=False,
                              env=dict(os.environ, GIT_CEILING_DIRECTORIES=folder))
        if done.returncode:
            raise ValueError(f"{patch}: {done.stderr}")
        found = {}
        for path in files:
            with open(os.path.join(folder, path), encoding="utf-8") as file:
                found[path] = file.read()
        return found


def solution_of(lab):
    """The files of a lab with its solution."""
    files = lab_files(lab)
    return patched(files, os.path.join(lab.folder, lab.solution)) if lab.solution else files


def fill(folder, files):
    for path, text in files.items():
        path = os.path.join(folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def check(lab, files, *options, **environment):
    """./lab check: (the JSON as text, all that it printed)."""
    with tempfile.TemporaryDirectory(prefix="samepage-lab-") as folder:
        fill(folder, files)
        out = os.path.join(folder, "results.json")
        _, output = core.command(
            [os.path.join(core.ROOT, "lab"), "check", str(lab.number), "--copy", folder,
             "--json", out, *options],
            timeout=1800, env=dict(os.environ, **environment),
        )
        if not os.path.exists(out):
            return "", output
        with open(out, encoding="utf-8") as file:
            return file.read(), output


def points(text):
    return json.loads(text)["score"] if text else -1


def full(title, lab, files, *options):
    """The files must have all points."""
    text, output = check(lab, files, *options)
    rows = json.loads(text)["tests"] if text else []
    good = rows and all(row["status"] == "passed" for row in rows)
    return core.passed(title) if good else core.failed(title, output)


def solution(lab):
    return full(f"labs/{lab.number}/solution", lab, solution_of(lab))


def other_solution(lab):
    """The solution, with the files that alternative.patch names from the skeleton and the patch."""
    patch = os.path.join(lab.folder, "alternative.patch")
    with open(patch, encoding="utf-8") as file:
        named = re.findall(r"^\+\+\+ b/(.*)", file.read(), re.M)
    skeleton_files = cut.skeleton(lab)
    return patched({**solution_of(lab), **{path: skeleton_files[path] for path in named}}, patch)


def alternative(lab):
    return full(f"labs/{lab.number}/alternative", lab, other_solution(lab))


def skeleton(lab, *options):
    """Nothing for nothing, twice the same, and no warning of the compiler."""
    title = f"labs/{lab.number}/skeleton"
    files = cut.skeleton(lab)
    text, output = check(lab, files, "--no-machine", *options)
    again, _ = check(lab, files, "--no-machine", *options)
    if points(text) != 0:
        return core.failed(title, f"{points(text)} points for the skeleton\n{output}")
    if text != again:
        return core.failed(title, "grading twice gives two results")
    return warnings(title, lab)


BOOT = [("guest/hello.elf", "name=hello memory=16M"),
        ("guest/dirty.elf", "name=d test_calls=yes memory=16M merge=own")]


def boot(lab):
    """The image of the skeleton: no warning, an end of its own, and the name of what is missing."""
    title = f"labs/{lab.number}/boot"
    with build.locked():
        build.synchronise(cut.skeleton(lab))
        build.configure("machine")
        status, output = build.ninja("machine", "samepage.elf32", *(name for name, _ in BOOT))
        if status or "warning:" in output:
            return core.failed(title, output)
        setup = machine.Setup(
            machine="qemu-tcg", build=runs.MACHINE, cpus=2, memory=160, cmdline="merge_ms=1",
            modules=[(os.path.join(runs.MACHINE, name), words) for name, words in BOOT])
        with machine.start(setup) as session:
            ending = session.wait(60)
            text = session.serial()
    said = set(re.findall(rf"lab {lab.number}: (\w+) is yours", text))
    names = {one.function for one in lab.cut}
    ended = re.search(r"^panic on cpu|hv: info: end", text, re.M)
    good = ending != "timeout" and ended and said <= names and (said or not names)
    return core.passed(title) if good else core.failed(title, f"{ending}\n{text}")


def warnings(title, lab):
    """The skeleton compiles without a warning, in both builds."""
    found = []
    for path in (path for path in lab.files if path.endswith(".c")):
        for kind, flags in (("host", []), ("machine", [])):
            words = compile_command(kind, path)
            if words:
                status, output = core.command([*words, *flags], cwd=os.path.join(TREE, kind))
                if status or "warning:" in output:
                    found.append(f"{path} ({kind}):\n{output[:2000]}")
    return core.failed(title, "\n".join(found)) if found else core.passed(title)


def compile_command(kind, path):
    """The compiler's words for a file of the graded tree, for the syntax alone; None: no build."""
    commands = os.path.join(TREE, kind, "compile_commands.json")
    if not os.path.exists(commands):
        return None
    with open(commands, encoding="utf-8") as file:
        rows = json.load(file)
    words = next((row["command"].split() for row in rows
                  if row["file"] == os.path.join(TREE, path)), None)
    if not words:
        return None
    at = words.index("-o")
    return [*words[:at], *words[at + 2 :], "-fsyntax-only"]


def mutant_rows(lab):
    path = os.path.join(lab.folder, "mutants.toml")
    if not os.path.exists(path):
        return {}
    with open(path, "rb") as file:
        rows = tomllib.load(file)
    known = mutants.rows()
    for name, row in rows.items():
        if not set(row) <= KEYS or "task" not in row:
            raise ValueError(f"{path}: {name}: wrong keys")
        lab.find_task(row["task"])
        if "mutant" in row:
            row.update({key: known[row["mutant"]][key] for key in ("file", "replace", "by")})
    return rows


def mutant(lab, name, row):
    """The mistake costs points in its task."""
    title = f"labs/{lab.number}/mutant/{name}"
    files = solution_of(lab)
    files[row["file"]] = mutants.patched(row, files[row["file"]])
    text, output = check(lab, files, "--only", row["task"], "--first", "--no-machine")
    rows = json.loads(text)["tests"] if text else []
    lost = [one for one in rows if one["status"] == "failed" and row["task"] in one["tags"]]
    if not lost:
        return core.failed(title, f"no points lost in {row['task']}\n{output}")
    if "does not compile" in lost[0]["output"] or "do not build" in lost[0]["output"]:
        return core.failed(title, f"the mutant does not compile\n{output}")
    return core.passed(title)


def case_exists(program, case):
    """Whether the case stands in the source."""
    with open(os.path.join(core.ROOT, programs.source_of(program)), encoding="utf-8") as file:
        return case in file.read()


def complaints_about(lab):
    """What does not fit between a lab.toml and the tree."""
    found = []
    cut.skeleton(lab)
    names = {one.function for one in lab.cut}
    for task in lab.task:
        found += [f"{task.name}: no cut is called {name}"
                  for name in task.functions if name not in names]
        found += [f"{task.name}: {one.name} has no case {case}"
                  for one in task.program for case in one.cases if not case_exists(one.name, case)]
        for name in task.after:
            lab.find_task(name)
    if lab.task and sum(task.points for task in lab.task) != 100:
        found.append("the points do not sum up to 100")
    if not os.path.exists(os.path.join(lab.folder, "README.md")):
        found.append("there is no handout README.md")
    base = solution_of(lab)
    for name, row in mutant_rows(lab).items():
        if row["file"] not in base or base[row["file"]].count(row["replace"]) != 1:
            found.append(f"mutant {name}: its text does not stand once in {row['file']}")
    if lab.task and len(mutant_rows(lab)) < 10:
        found.append("fewer than ten mutants")
    if os.path.exists(os.path.join(lab.folder, "alternative.patch")):
        try:
            other_solution(lab)
        except ValueError as error:
            found.append(f"the other solution does not apply: {error}")
    return found


def names():
    """CI's check that every function that a lab names exists."""
    results = []
    for number in table.numbers():
        title = f"labs/names: lab {number}"
        try:
            found = complaints_about(table.load(number))
        except (table.LabError, ValueError, KeyError) as error:
            found = [str(error)]
        results += core.failed(title, "\n".join(found)) if found else core.passed(title)
    return results


def spoiled(files):
    """Lab 1: split does not compile, unmap panics, protect loops."""
    rows = (("mm/table/shape.c", "int pgtable_split(", "int pgtable_split(!"),
            ("mm/table/change.c", "static int unmap_commit(struct pgtable *table, const struct "
             "pgtable_visit *visit, void *argument)\n{\n", 'panic("a student\'s");\n'),
            ("mm/table/change.c", "static void protect_leaf(struct pgtable *table, const struct "
             "pgtable_visit *visit, unsigned rights)\n{\n", "for (;;)\n;\n"))
    for path, at, text in rows:
        if files[path].count(at) != 1:
            raise ValueError(f"{path}: {at}")
        files[path] = files[path].replace(at, text if "(!" in text else at + text)
    return files


def faults():
    """Each fault costs its task and no other; the run goes on, and JUnit fits its schema."""
    title, lab = "labs/faults", table.load(1)
    with tempfile.TemporaryDirectory(prefix="samepage-lab-") as folder:
        junit = os.path.join(folder, "results.xml")
        text, output = check(lab, spoiled(solution_of(lab)), "--no-machine", "--junit", junit,
                             SAMEPAGE_SLOW="0.1")
        tasks = json.loads(text)["extra_data"]["tasks"] if text else {}
        expected = {task.name: 0 if task.name in ("split", "unmap", "protect") else task.points
                    for task in lab.task if task.name != "machine"}
        if {name: tasks.get(name) for name in expected} != expected:
            return core.failed(title, f"{tasks}, not {expected}\n{output}")
        schema = os.path.join(core.ROOT, "tests", "labs", "junit.xsd")
        status, words = core.command(["xmllint", "--noout", "--schema", schema, junit])
    return core.failed(title, words) if status else core.passed(title)


def bodies(lab):
    """The text between the braces of each function that is cut, three lines of it or more."""
    for one in lab.cut:
        text = cut.whole(one.file)
        first, last = cut.find(text, one.function, one.file)
        lines = text.split("\n")[first - 1 : last]
        body = "\n".join(lines[lines.index("{") + 1 : -1])
        if not one.keep and body.count("\n") > 1:
            yield one, body


def complaints_about_export(where):
    """What an exported repository has that it must not have."""
    count = core.command(["git", "rev-list", "--count", "--all"], cwd=where)[1].strip()
    found = [] if count == "1" else [f"{count} commits"]
    names = core.command(["git", "ls-files"], cwd=where)[1].split("\n")[:-1]
    secret = re.compile(r"\.patch$|^tests/mutants/|^labs/.*mutants")
    found += [name for name in names if secret.search(name)]
    everything = ""
    for name in names:
        with open(os.path.join(where, name), encoding="utf-8", errors="replace") as file:
            everything += file.read() + "\n"
    for number in table.numbers():
        found += [f"{one.function} of {one.file}" for one, body in bodies(table.load(number))
                  if body in everything]
    return found


def exported(check_it):
    """A repository with all labs: its complaints; with check_it, graded by its own ./lab."""
    title = "labs/export"
    with tempfile.TemporaryDirectory(prefix="samepage-lab-") as folder:
        where = os.path.join(folder, "course")
        status, output = core.command([os.path.join(core.ROOT, "lab"), "export", where])
        found = [output] if status else complaints_about_export(where)
        if found:
            return core.failed(title, "\n".join(found))
        if not check_it:
            return core.passed(title)
        out = os.path.join(folder, "results.json")
        _, output = core.command(
            [os.path.join(where, "lab"), "check", "1", "--only", "lookup", "--stubs", "--json",
             out], timeout=900, cwd=where, env={**os.environ, "SAMEPAGE_LAB_TREE": ""})
        if not os.path.exists(out):
            return core.failed(title, output)
        with open(out, encoding="utf-8") as file:
            score = json.load(file)["score"]
    return core.passed(title) if score == 0 else core.failed(title, f"{score} points\n{output}")


def varied(lab, number):
    """The solution with the names of a variant."""
    names = variant.helpers(lab)
    return {path: variant.rename(text, names.get(path, []), number)
            for path, text in solution_of(lab).items()}


def complaints_about_variants(lab, where):
    """What is wrong with an exported repository of variant 1, and with grading variants."""
    helper, found = "map_block" + variant.suffix(1), []
    for path in ("mm/stage2/fault.c", f"labs/{lab.number}/README.md"):
        with open(os.path.join(where, path), encoding="utf-8") as file:
            if helper not in file.read():
                found.append(f"{path} has no {helper}")
    options = ("--only", "install/a_leaf_has_a_and_for_a_write_d", "--variant")
    for number, given, good in ((1, varied(lab, 1), True), (2, varied(lab, 1), False),
                                (1, solution_of(lab), False)):
        text, output = check(lab, given, *options, str(number))
        if (points(text) > 0) != good or not good and "is not of variant" not in text:
            found.append(f"variant {number}: {output}")
    return found


def variants():
    """A variant compiles and passes under its own number alone."""
    title, lab = "labs/variant", table.load(2)
    with tempfile.TemporaryDirectory(prefix="samepage-lab-") as folder:
        where = os.path.join(folder, "course")
        status, output = core.command([os.path.join(core.ROOT, "lab"), "export", where, "--labs",
                                       "2", "--variant", "1"])
        found = [output] if status else complaints_about_variants(lab, where)
    return core.failed(title, "\n".join(found)) if found else core.passed(title)


def all_tests():
    """Every test of the suite but names."""
    found = [("labs/export", lambda: exported(True)), ("labs/faults", faults),
             ("labs/variant", variants)]
    for number in table.numbers():
        lab = table.load(number)
        if not lab.task:
            continue
        found.append((f"labs/{number}/solution", lambda lab=lab: solution(lab)))
        found.append((f"labs/{number}/skeleton", lambda lab=lab: skeleton(lab, "--stubs")))
        found.append((f"labs/{number}/boot", lambda lab=lab: boot(lab)))
        if os.path.exists(os.path.join(lab.folder, "alternative.patch")):
            found.append((f"labs/{number}/alternative", lambda lab=lab: alternative(lab)))
        found += [(f"labs/{number}/mutant/{name}", lambda l=lab, n=name, r=row: mutant(l, n, r))
                  for name, row in mutant_rows(lab).items()]
    return found


def packages(name):
    if name.endswith(("/solution", "/alternative")):
        return (*NEED, "gcc", "qemu", "bochs")
    return {"boot": (*NEED, "gcc", "qemu"), "faults": (*NEED, "xml")}.get(name.split("/")[-1], NEED)


def sample():
    """One lab by the commit: the tests of its skeleton and of some mutants, without a machine."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=core.ROOT, capture_output=True,
                         text=True, check=False)
    chance = random.Random(hashlib.sha256(git.stdout.strip().encode()).digest())
    lab = chance.choice([lab for lab in map(table.load, table.numbers()) if lab.task])
    rows = mutant_rows(lab)
    chosen = chance.sample(sorted(rows), min(SAMPLE, len(rows)))
    return [lambda: exported(False), lambda: skeleton(lab),
            *(lambda name=name: mutant(lab, name, rows[name]) for name in chosen)]


def tests(long=False):
    """The names for every ./test, a sample as one Test, and each test by its name."""
    return [
        core.Test("labs/names", names, packages=("labs",)),
        core.Test("labs/of this commit", lambda: [result for run in sample() for result in run()],
                  packages=NEED),
        # One graded tree: none runs beside another.
        *(core.Test(name, run, packages=packages(name), alone=True, extra=not long)
          for name, run in all_tests()),
    ]
