# SPDX-License-Identifier: Apache-2.0
"""
completion.py: ./run completion prints what bash needs to complete the words after ./run.

bash calls ./run itself for each completion (run.py, argcomplete), so the candidates are those of
the parser.
"""
import builder

SUMMARY = 'print the bash completion, for eval "$(./run completion)"'


def arguments(_):
    pass


def main(_):
    builder.need("completion")
    import argcomplete

    print(argcomplete.shellcode(["run"]))
    return 0
