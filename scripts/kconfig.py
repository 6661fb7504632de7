#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
kconfig.py: makes .config, auto.conf and autoconf.h of a build, and refuses what Kconfig would drop
in silence.

Why: kconfig-conf of Debian exits 0 and says nothing when a defconfig sets a symbol that does
not exist, and puts an int that is out of range back to its default. So what was set is
compared with what came out.

Usage: kconfig.py --source DIR --work DIR (--defconfig FILE | --keep) [SYMBOL=VALUE ...]
       kconfig.py --source DIR --work DIR --save FILE

The work folder gets .config, include/generated/autoconf.h and, for each symbol, one file under
include/config/ that is touched when the symbol's value changes: scripts/fixdep.py makes objects
depend on those.
"""
import argparse
import dataclasses
import os
import re
import subprocess
import sys

SETTING = re.compile(r"^CONFIG_(\w+)=(.*)$")
UNSET = re.compile(r"^# CONFIG_(\w+) is not set$")


class Refused(Exception):
    """A setting that cannot be had; the text names it."""


@dataclasses.dataclass
class Symbol:
    """
    One `config` entry: its type, its range if it has one, and the number of the choice it is a
    member of.
    """
    kind: str = "bool"
    limits: tuple = None
    choice: int = None


def read_symbols(source):
    """Every symbol of the Kconfig files: name -> Symbol."""
    symbols, symbol, choices, choice, pending = {}, None, 0, None, [os.path.join(source, "Kconfig")]
    while pending:
        with open(pending.pop(), encoding="utf-8") as lines:
            for words in filter(None, map(str.split, lines)):
                if words[0] == "source":
                    pending.append(os.path.join(source, words[1].strip('"')))
                elif words[0] in ("config", "menuconfig"):
                    symbol = symbols[words[1]] = Symbol(choice=choice)
                elif words[0] in ("choice", "endchoice"):
                    choices += 1
                    choice, symbol = choices if words[0] == "choice" else None, None
                elif words[0] in ("menu", "endmenu", "comment", "if", "endif"):
                    symbol = None
                elif symbol and words[0] in ("bool", "int", "hex", "string"):
                    symbol.kind = words[0]
                elif symbol and words[0] == "range":
                    symbol.limits = (words[1], words[2])
    return symbols


def read_settings(path):
    """
    The settings of a defconfig or .config: name -> (value, where it stands). Any other line is an
    error.
    """
    settings = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\n")
            setting, unset = SETTING.match(line), UNSET.match(line)
            where = f"{path}:{number}"
            if setting:
                settings[setting[1]] = (setting[2], where)
            elif unset:
                settings[unset[1]] = ("n", where)
            elif line.strip() and not line.startswith("#"):
                raise Refused(f"{where}: neither CONFIG_NAME=VALUE nor a comment: {line}")
    return settings


def drop_unknown(settings, symbols):
    """A symbol of a file that Kconfig lacks is left out, with a warning unless it is off."""
    for name in [name for name in settings if name not in symbols]:
        value, where = settings.pop(name)
        if value != "n":
            print(f"kconfig: warning: {where}: CONFIG_{name}={value}: no such symbol, left out",
                  file=sys.stderr)


def check_settings(settings, symbols):
    """Refuses unknown symbols and values of the wrong kind before Kconfig sees them."""
    for name, (value, where) in settings.items():
        if name not in symbols:
            raise Refused(f"{where}: CONFIG_{name}: no such symbol in Kconfig")
        symbol = symbols[name]
        if symbol.kind == "bool" and value not in ("y", "n"):
            raise Refused(f"{where}: CONFIG_{name}={value}: a bool is y or n")
        if symbol.kind in ("int", "hex"):
            check_number(name, value, where, symbol)


def check_number(name, value, where, symbol):
    """Refuses what is no number, or a number outside the symbol's range."""
    base, form = (10, r"-?(0|[1-9]\d*)") if symbol.kind == "int" else (16, r"0[xX][0-9a-fA-F]+")
    limits = symbol.limits
    if not re.fullmatch(form, value):
        raise Refused(
            f"{where}: CONFIG_{name}={value}: not {'an int' if base == 10 else 'a hex number'}"
        )
    if limits and not int(limits[0], base) <= int(value, base) <= int(limits[1], base):
        raise Refused(
            f"{where}: CONFIG_{name}={value}: out of range, allowed is {limits[0]} to {limits[1]}"
        )


def run_conf(source, work, *options):
    """Runs kconfig-conf in the work folder; any warning is an error."""
    environment = dict(os.environ, srctree=source, KCONFIG_CONFIG=f"{work}/.config",
                       KCONFIG_AUTOCONFIG=f"{work}/include/config/auto.conf",
                       KCONFIG_AUTOHEADER=f"{work}/include/generated/autoconf.h",
                       KCONFIG_TRISTATE=f"{work}/include/config/tristate.conf")
    try:
        done = subprocess.run(
            ["kconfig-conf", *options, os.path.join(source, "Kconfig")],
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    except FileNotFoundError:
        raise Refused("kconfig-conf is missing: apt-get install kconfig-frontends-nox") from None
    said = done.stdout + done.stderr
    if done.returncode or "warning" in said:
        raise Refused(f"kconfig-conf {' '.join(options)}: exit {done.returncode}\n{said.strip()}")


def write_config(work, settings):
    """Writes .config in the form kconfig-conf reads."""
    with open(f"{work}/.config", "w", encoding="utf-8") as out:
        for name, (value, _) in settings.items():
            out.write(
                f"# CONFIG_{name} is not set\n" if value == "n" else f"CONFIG_{name}={value}\n"
            )


def make(source, work, defconfig, overrides):
    """
    The whole sequence: the settings, checked, completed, compared, and turned into the C
    header.
    """
    os.makedirs(f"{work}/include/config", exist_ok=True)
    os.makedirs(f"{work}/include/generated", exist_ok=True)
    config = f"{work}/.config"
    settings = read_settings(defconfig or config)
    symbols = read_symbols(source)
    drop_unknown(settings, symbols)
    for text in overrides:
        override(settings, symbols, text)
    check_settings(settings, symbols)
    before = open(config, encoding="utf-8").read() if os.path.exists(config) else None
    if defconfig or overrides:
        write_config(work, settings)
    try:
        run_conf(source, work, "--olddefconfig")
        compare(settings, read_settings(config))
    except Refused:
        restore(config, before)
        raise
    run_conf(source, work, "--silentoldconfig")


def override(settings, symbols, text):
    """Puts one SYMBOL=VALUE over what is there. A new member of a choice pushes the old one out."""
    name, _, value = text.removeprefix("CONFIG_").partition("=")
    value = {"ON": "y", "OFF": "n"}.get(value, value)
    if value == "y" and name in symbols and symbols[name].choice:
        same = {key for key in symbols if symbols[key].choice == symbols[name].choice}
        for other in same.intersection(settings):
            del settings[other]
    settings[name] = (value, "-D")


def compare(settings, got):
    """
    Refuses when Kconfig made something else of a value, as it does when a dependency is not met.
    """
    for name, (value, where) in settings.items():
        result = got.get(name, ("n", ""))[0]
        if result != value:
            raise Refused(
                f"{where}: CONFIG_{name}={value}: Kconfig makes it {result}; see its dependencies"
            )


def restore(config, before):
    """
    Leaves the old .config behind a refused one, so that the next configuration says the same again.
    """
    if before is not None:
        with open(config, "w", encoding="utf-8") as out:
            out.write(before)
    elif os.path.exists(config):
        os.remove(config)


def main():
    parser = argparse.ArgumentParser(description="Makes the configuration of a build folder.")
    parser.add_argument("--source", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--defconfig")
    parser.add_argument("--keep", action="store_true", help="start from the .config that is there")
    parser.add_argument("--save", metavar="FILE", help="write a minimal defconfig of .config")
    parser.add_argument("settings", nargs="*", metavar="SYMBOL=VALUE")
    options = parser.parse_args()
    source, work = os.path.abspath(options.source), os.path.abspath(options.work)
    try:
        if options.save:
            run_conf(source, work, f"--savedefconfig={os.path.abspath(options.save)}")
        else:
            make(source, work, None if options.keep else options.defconfig, options.settings)
    except (Refused, OSError) as refused:
        sys.exit(f"kconfig: {refused}")


if __name__ == "__main__":
    main()
