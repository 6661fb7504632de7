# SPDX-License-Identifier: Apache-2.0
"""
bench.py: ./run bench NAME measures, prints a table, and leaves a results folder: NAME.json, the
manifest, and the log of each machine that ran.
"""
import threading

import builder
import machine
import provenance
import results
from benches import BENCHES
from output import QUIET, result, say

# The options of the command line that a bench takes.
OPTIONS = {"guest": ("repeat", "cpus", "speed", "only", "machine_name", "icount"),
           "density": ("cpus", "only")}
SUMMARY = "measure, print a table and write NAME.json"


def arguments(parser):
    parser.add_argument("what", choices=BENCHES, metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--repeat", type=int, default=1, metavar="N",
                        help="guest: rounds; the table has medians")
    parser.add_argument("--cpus", type=int, default=3, metavar="N",
                        help="guest, density: of the machine")
    parser.add_argument("--only", default="", metavar="TEXT",
                        help="guest, density: the settings with this in their names")
    parser.add_argument("--machine", dest="machine_name", default="qemu-tcg",
                        choices=["qemu-tcg", "bochs"], help="guest: Samepage's machine")
    parser.add_argument("--icount", action="store_true",
                        help="guest: QEMU counts instructions; Samepage's settings alone")
    parser.add_argument("--jobs", dest="speed", action="store_true",
                        help="guest: jobs in a guest beside plain QEMU, not the main job")


class Machines:
    """
    The machines of a bench: what each was given, and its log in the results folder. Those that run
    at once end in threads of their own.
    """

    def __init__(self, folder):
        self.folder, self.given, self.lock = folder, [], threading.Lock()

    def __enter__(self):
        machine.on_end.append(self.keep)
        return self.given

    def __exit__(self, *_):
        machine.on_end.remove(self.keep)

    def keep(self, session):
        with self.lock:
            name = f"log-{len(self.given) + 1}.txt"
            self.folder.write(name, session.serial())
            self.given.append({**provenance.of_setup(session.setup), "command": session.command,
                               "ending": session.ending(), "log": name})


def main(options):
    name = f"bench-{options.what}"
    with results.Folder(name) as folder:
        with Machines(folder) as given:
            BENCHES[options.what](folder, **{word: getattr(options, word)
                                             for word in OPTIONS.get(options.what, ())})
        manifest = provenance.manifest(name, builder.FOLDER, ["qemu", "bochs"])
        folder.write_json("manifest.json", {**manifest, "machines": given})
        say(f"results: {folder}/{options.what}.json", QUIET)
        result({"folder": folder.path, "rows": folder.rows})
    return 0
