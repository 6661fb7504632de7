# SPDX-License-Identifier: Apache-2.0
"""
bench.py: ./run bench NAME measures, prints a table, and leaves NAME.json in a results folder.
"""
import builder
import provenance
import results
from benches import BENCHES
from output import QUIET, result, say

SUMMARY = "measure, print a table and write NAME.json"


def arguments(parser):
    parser.add_argument("what", choices=BENCHES, metavar="NAME", help=", ".join(BENCHES))


def main(options):
    with results.Folder(f"bench-{options.what}") as folder:
        BENCHES[options.what](folder)
        manifest = provenance.manifest(f"bench-{options.what}", builder.FOLDER, ["qemu", "bochs"])
        folder.write_json("manifest.json", manifest)
        say(f"results: {folder}/{options.what}.json", QUIET)
        result({"folder": folder.path, "rows": folder.rows})
    return 0
