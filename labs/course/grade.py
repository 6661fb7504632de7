# SPDX-License-Identifier: Apache-2.0
"""
grade.py: checks a working copy: builds what the lab needs, runs its cases, sums up points.

    student's files -> graded tree -> host programs -> one process a case -> Outcome
                                  `-> image, guests -> one boot a run     -> Outcome

A failure costs the task that it is in: of a file that does not compile, the tasks of its functions;
of a case that loops or dies, that case.
"""
import dataclasses

from course import build, cut, programs, runs, table, variant


@dataclasses.dataclass
class Outcome:
    """A case of a task. points: what it is worth; got: what it brings; ran: it was run."""
    task: str
    name: str
    points: float
    got: float
    ran: bool = True
    expected: str = ""
    seen: str = ""
    look: str = ""
    alone: str = ""


@dataclasses.dataclass
class Result:
    """A whole check."""
    number: int
    title: str
    tasks: list
    outcomes: list
    missing: list
    seed: int = 0
    whole: bool = True

    def of_task(self, name):
        return [one for one in self.outcomes if one.task == name]

    def points(self, name=None):
        """Points of a task or of all, rounded as printed: (got, of)."""
        chosen = self.of_task(name) if name else self.outcomes
        return (round(sum(one.got for one in chosen), 2),
                round(sum(one.points for one in chosen), 2))


def sentence(case):
    """A case's name as the sentence it is."""
    return case.replace("_", " ")


def items(lab, only):
    """The cases to run: (task, program or None, case or run, weight)."""
    task_name, _, case_name = (only or "").partition("/")
    if task_name:
        lab.find_task(task_name)
    found = []
    for task in lab.task:
        if task_name and task.name != task_name:
            continue
        rows = [(task, one, case, 1) for one in task.program for case in one.cases]
        rows += [(task, None, run, run.weight) for run in task.run]
        found += [row for row in rows
                  if not case_name or case_name == (row[2] if row[1] else row[2].name)]
    if not found:
        raise table.LabError(f"lab {lab.number}: {only}: there is no such case")
    return found


def configure(files, options):
    """
    CMake over the student's files; without those that are no C (Kconfig), where it refuses them.
    The files to go on with, and the reasons.
    """
    others = [path for path in files if not path.endswith(".c")]
    try:
        build.configure("host", options, again=bool(others))
        return files, {}
    except table.LabError as error:
        if not others:
            raise
        files = {path: text for path, text in files.items() if path not in others}
        build.synchronise(files)
        build.configure("host", options, again=True)
        return files, {path: f"{path} is refused:\n{build.errors_in(str(error))}"
                       for path in others}


def prepare(lab, files, rows, machines, stubs, options):
    """Builds; returns the reasons for which tasks fail without being run: file -> sentence."""
    reasons = {path: f"{path} is not in the copy" for path in lab.files if path not in files}
    if options.get("variant") is not None:
        reasons.update(variant.complaints(lab, files, options["variant"]))
    skeleton = cut.skeleton(lab)
    # CMake comes first: it makes the rules by which a file is compiled alone.
    build.synchronise(files)
    asan = [f"-DSAMEPAGE_ASAN={'ON' if options.get('asan') else 'OFF'}"]
    files, refused = configure(files, asan)
    reasons.update(refused)
    broken = build.broken_files(files)
    for path, text in broken.items():
        reasons[path] = f"{path} does not compile:\n{text}"
    good = {path: skeleton[path] if path in broken else text for path, text in files.items()}
    rows = [row for row in rows if options.get("stubs") or not unwritten(lab, row[0], stubs)]
    if not rows:
        return reasons
    if broken:
        build.synchronise(good)
    targets = sorted({programs.target_of(row[1].name) for row in rows if row[1]})
    status, output = build.ninja("host", "lab_verdict", "lib", "mm", "pgtable", *targets)
    if status == build.TIMED_OUT:  # the student's files have been compiled: not their fault
        raise table.LabError(output)
    if status:
        reasons[""] = "the test programs do not build:\n" + build.errors_in(output)
    else:
        reasons.update(build.trespasses(good))
    if machines and any(not row[1] for row in rows):
        build.configure("machine")
        names = sorted({name for row in rows if not row[1] for name in runs.targets(row[2])})
        status, output = build.ninja("machine", *names)
        if status == build.TIMED_OUT:
            raise table.LabError(output)
        if status:
            reasons["machine"] = "the image does not build:\n" + build.errors_in(output)
    return reasons


def reason_for(lab, task, program, reasons):
    """Why a case cannot count, or None."""
    if "" in reasons:
        return reasons[""]
    if not program and "machine" in reasons:
        return reasons["machine"]
    files = task.files or [one.file for one in lab.cut if one.function in task.functions]
    for path in files:
        if path in reasons:
            return reasons[path]
    return None


def unwritten(lab, task, stubs):
    """Are all functions of the task still stubs? Then its cases are not run."""
    names = {one.function for one in lab.cut
             if one.function in task.functions and not one.remove and not one.keep}
    return bool(names) and names <= set(stubs)


def expected_of(program, item):
    if program:
        return sentence(item)
    return item.about or f"a boot on {item.machine} ends well"


def one(lab, row, reasons, stubs, options):
    """Runs a case."""
    task, program, item, weight = row
    name = item if program else item.name
    points = task.points * weight / task.cases()
    good, seen = False, reason_for(lab, task, program, reasons)
    ran = seen is None and (options.get("stubs") or not unwritten(lab, task, stubs))
    if ran:
        if program:
            good, seen = programs.run(program.name, item, lab.seconds, options.get("seed"))
        else:
            good, seen = runs.run(item)
    open_stubs = [name for name in task.functions if name in stubs]
    if not good and open_stubs:
        seen = f"{', '.join(open_stubs)}: still to be written. {seen or ''}".strip()
    source = programs.source_of(program.name) if program else f"labs/{lab.number}/lab.toml"
    return Outcome(task.name, name, points, points if good else 0, bool(ran),
                   expected_of(program, item), "" if good else seen,
                   f"{task.look}; the case: {source}",
                   f"./lab check {lab.number} --only {task.name}/{name}")


def check(lab, files, only=None, machines=True, report=None, **options):
    """Grades the files of a copy; `report` is called with each Outcome."""
    rows = items(lab, only)
    stubs = sorted({name for text in files.values() for name in cut.missing(lab, text)})
    with build.locked():
        reasons = prepare(lab, files, rows, machines, stubs, options)
        outcomes = []
        for row in rows:
            if not row[1] and not machines:
                continue
            outcomes.append(one(lab, row, reasons, stubs, options))
            if report:
                report(outcomes[-1])
            if options.get("first") and not outcomes[-1].got:
                break
    tasks = [task.name for task in lab.task if any(row[0] is task for row in rows)]
    return Result(lab.number, lab.name, tasks, outcomes, stubs, options.get("seed") or 0,
                  whole=not only)
