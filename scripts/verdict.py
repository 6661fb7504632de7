# SPDX-License-Identifier: Apache-2.0
"""
verdict.py: whether a run was good, and the reasons when it was not.

The facts come from the control channel. From the console come the complaints that a guest prints
itself, and the panic of the hypervisor, after which there is no channel.
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
# Events' words for the ends of a VM.
ENDS = {
    "shutdown": "shut down",
    "halted": "halted for good",
    "reboot": "restart",
    "triple_fault": "triple fault",
    "no_memory": "out of memory",
    "entry_failed": "entry failed",
    "killed": "ended by the user",
}


def allowed_ends(line, ends, console):
    """The ends that are right for a VM, by the words of its command line."""
    allowed = {ends.get(line["name"], "shutdown")}
    if console or "kill_after" in line:
        allowed.add("killed")
    return allowed


def of_vm(name, vm, allowed):
    """The reasons that lie in the end of a VM."""
    if vm is None:
        return [f"{name} was not started"]
    if "end" not in vm:
        return [f"{name} did not end"]
    if vm["end"] not in allowed:
        return [f"{name} ended with: {ENDS.get(vm['end'], vm['end'])}"]
    if vm.get("status"):
        return [f"{name} shut down with status {vm['status']}"]
    return []


def of_console(text):
    """The first complaint of each guest."""
    found = {}
    for name, said in COMPLAINT.findall(text):
        found.setdefault(name, f"{name} printed: {said[:LONGEST]}")
    return list(found.values())


def of_machine(facts, text):
    """The reasons that lie in the hypervisor."""
    panic = PANIC.search(text)
    if panic:
        return [f"the hypervisor: {panic[0][:LONGEST]}"]
    if not facts.end:
        return ["there was no audit, and the frames were not counted"]
    found = []
    if facts.end["audit"]["faults"]:
        found.append(f"the audit found {facts.end['audit']['faults']} faults")
    if facts.end["frames_missing"]:
        found.append(f"{facts.end['frames_missing']} frames are missing")
    return found


def reasons(facts, ending, text, lines, ends, console):
    """
    Why a run was not good; nothing for a good one. `ending`: of the machine; `text`: its console;
    `lines`: the words of each VM; `ends`: by name, the end of a VM that is meant to end otherwise
    than by shutting down.
    """
    found = of_console(text)
    for line in lines:
        name = line["name"]
        found += of_vm(name, facts.vms.get(name), allowed_ends(line, ends, console))
    found += of_machine(facts, text)
    if not found and ending != "ok":
        found.append(f"the machine ended with {ending}")
    return found
