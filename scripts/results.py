# SPDX-License-Identifier: Apache-2.0
"""
results.py: the folder that a run or a bench leaves: build/results/YYYYMMDD-HHMMSS-NAME/.

The folder is made before the start and removed again when nothing started: results that are there
stay as they are. `latest` is a link to the folder of the last run that did start. docs/output.md
describes the files.
"""
import json
import os
import shutil
import time

import machine

RESULTS = os.path.join(machine.ROOT, "build", "results")
LATEST = os.path.join(RESULTS, "latest")


def new_folder(name):
    """An empty folder of its own, also for two runs that start in the same second."""
    os.makedirs(RESULTS, exist_ok=True)
    first = os.path.join(RESULTS, f"{time.strftime('%Y%m%d-%H%M%S')}-{name}")
    path, number = first, 1
    while True:
        try:
            os.mkdir(path)
            return path
        except FileExistsError:
            number += 1
            path = f"{first}-{number}"


class Folder:
    """A results folder, and a context manager: an unpublished folder is removed at the end."""

    def __init__(self, name):
        self.path = new_folder(name)
        self.published = False
        self.rows = []	# of a bench

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.published:
            shutil.rmtree(self.path, ignore_errors=True)

    def __str__(self):
        return os.path.relpath(self.path, machine.ROOT)

    def file(self, name):
        """The path of a file in it."""
        return os.path.join(self.path, name)

    def write(self, name, text):
        """Writes a file; an interruption leaves the old one under its name. Returns its path."""
        path = self.file(name)
        try:
            with open(path + ".part", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(path + ".part", path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None
        return path

    def write_json(self, name, value):
        return self.write(name, json.dumps(value, indent=1) + "\n")

    def publish(self):
        """The run has started: the folder stays, and `latest` leads to it."""
        if self.published:
            return
        link = f"{LATEST}.{os.getpid()}"
        os.symlink(os.path.basename(self.path), link)
        os.replace(link, LATEST)
        self.published = True
