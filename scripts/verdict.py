# SPDX-License-Identifier: Apache-2.0
"""
verdict.py: whether a run was good, and the reasons when it was not.
"""
import re

# What a guest prints when its own check fails, after the "NAME| " of its console.
COMPLAINT = re.compile(
    r"^([A-Za-z0-9_-]+)\| (.*(?:FILES DIFFER|not ok\b|Kernel panic - not syncing|FAILED:).*"
    r"|job: status [1-9].*)$",
    re.M,
)
PANIC = re.compile(r"^panic on cpu\d+: .*$", re.M)
LONGEST = 80


def allowed_ends(line, ends, console):
    """The ends that are right for a VM, by the words of its command line."""
    allowed = {ends.get(line["name"], "shut down")}
    if console or "kill_after" in line:
        allowed.add("ended by the user")
    return allowed


def of_vm(name, vm, allowed):
    """The reasons that lie in the end of a VM."""
    if vm is None:
        return [f"{name} was not started"]
    if vm.get("end") not in allowed:
        return [f"{name} ended with: {vm.get('end', 'no summary')}"]
    if vm.get("status"):
        return [f"{name} shut down with status {vm['status']}"]
    return []


def of_console(text):
    """The first complaint of each guest."""
    found = {}
    for name, said in COMPLAINT.findall(text):
        found.setdefault(name, f"{name} printed: {said[:LONGEST]}")
    return list(found.values())


def of_machine(run, text):
    """The reasons that lie in the hypervisor."""
    panic = PANIC.search(text)
    if panic:
        return [f"the hypervisor: {panic[0][:LONGEST]}"]
    found = []
    if run["audit_faults"] != 0:
        found.append(f"the audit found {run['audit_faults']} faults"
                     if run["audit_faults"] else "there was no audit")
    if run["frames_missing"] != 0:
        found.append(f"{run['frames_missing']} frames are missing"
                     if run["frames_missing"] else "the frames were not counted")
    return found


def reasons(run, text, lines, ends, console):
    """
    Why a run was not good; nothing for a good one. `lines`: the words of each VM; `ends`: by name,
    the end of a VM that is meant to end otherwise than by shutting down.
    """
    found = of_console(text)
    for line in lines:
        name = line["name"]
        found += of_vm(name, run["vms"].get(name), allowed_ends(line, ends, console))
    found += of_machine(run, text)
    if not found and run["ending"] != "ok":
        found.append(f"the machine ended with {run['ending']}")
    return found
