# SPDX-License-Identifier: Apache-2.0
"""
builds.py: the builds all other tests stand on, and what a build must refuse.
"""
import os
import re
import tempfile

from runner import core
import builder

# Name: the preset, the folder, more arguments of cmake. A folder of the same name as ./run's is
# shared with it.
BUILDS = {
    "default": ("default", "build", []),
    "debug": ("debug", "build-debug", []),
    "clang": ("default", "build-clang", ["-DCMAKE_C_COMPILER=clang"]),
    "host": ("asan", "build-host", []),
    # The ends of the options' ranges, and the members of the choices that are not the default.
    "small": (
        "default",
        "build-small",
        ["-DSAMEPAGE_DEFCONFIG=bochs", "-DCONFIG_MAX_CPUS=1", "-DCONFIG_DEBUG=y"],
    ),
    "large": (
        "default",
        "build-large",
        [
            "-DCONFIG_MAX_CPUS=64",
            "-DCONFIG_TIMESLICE_US=100",
            "-DCONFIG_LOG_LEVEL=4",
            "-DCONFIG_NOTIFIER_POLICY_BRACKET=y",
            "-DCONFIG_FAULT_RETRY_REENTER=y",
        ],
    ),
}

# The packages of a build besides `base`: its compiler, and for the whole host build what its
# programs are linked with.
COMPILERS = {"clang": ("clang",), "host": ("clang",)}
LIBRARIES = {"host": ("unit", "zydis")}

# The Kconfig switches of "Break it". In a copy of the tree for mutants (mutants.py) SAMEPAGE_MUTANT
# is set: the one switch that is on, or nothing.
with open(os.path.join(core.ROOT, "Kconfig"), encoding="utf-8") as kconfig:
    SWITCHES = re.findall(r"^config (BREAK_\w+)$", kconfig.read(), re.M)
MUTANT = os.environ.get("SAMEPAGE_MUTANT")


def folder(name):
    """Where a build is."""
    return os.path.join(core.ROOT, BUILDS[name][1])


def packages(name, targets):
    """The purposes of scripts/packages.sh for these targets of a build."""
    return (
        "base",
        *COMPILERS.get(name, ("gcc",)),
        *(LIBRARIES.get(name, ()) if targets is core.ALL else ()),
    )


def configure(name):
    """Runs cmake for one of BUILDS; (status, output)."""
    preset, _, options = BUILDS[name]
    switches = (
        []
        if MUTANT is None
        else [f"-DCONFIG_{switch}={'y' if switch == MUTANT else 'n'}" for switch in SWITCHES]
    )
    return core.command(["cmake", "--preset", preset, "-B", folder(name), *options, *switches])


def build(name, targets):
    """
    Configures and builds these targets of one of BUILDS; any warning of a compiler is an error
    there.
    """
    title = f"build/{name}"
    with builder.alone():
        status, output = configure(name)
        if status:
            return core.failed(title, output)
        chosen = [word for target in targets or () for word in ("-t", target)]
        status, output = core.command(["cmake", "--build", folder(name), *chosen], timeout=1200)
    return core.failed(title, output) if status else core.passed(title)


def test(name, targets=core.ALL):
    """A build as a test of its own; it names itself, so that choosing it builds it."""
    return core.Test(f"build/{name}", lambda: build(name, targets), {name: targets})


# Settings that are refused, and words that the message must contain.
REFUSED = [
    (["-DCONFIG_MAX_CPUS=65"], ["CONFIG_MAX_CPUS=65", "out of range", "1 to 64"]),
    (["-DCONFIG_MAX_CPUS=0"], ["CONFIG_MAX_CPUS=0", "out of range"]),
    (["-DCONFIG_MAX_CPUS=many"], ["CONFIG_MAX_CPUS=many", "not an int"]),
    (["-DCONFIG_DEBUG=maybe"], ["CONFIG_DEBUG=maybe", "y or n"]),
    (["-DCONFIG_NO_SUCH_THING=y"], ["CONFIG_NO_SUCH_THING", "no such symbol"]),
    (["-DSAMEPAGE_DEFCONFIG=nowhere"], ["SAMEPAGE_DEFCONFIG=nowhere"]),
]
BAD_LINES = [
    ("CONFIG_LOG_LEVEL=9", ["CONFIG_LOG_LEVEL=9", "out of range"]),
    ("CONFIG_DEBUG=1", ["CONFIG_DEBUG=1", "y or n"]),
    ("CONFIG_NOTIFIER_POLICY_LATE=y\nCONFIG_NOTIFIER_POLICY_EVENT=y", ["NOTIFIER_POLICY_EVENT"]),
    ("LOG_LEVEL 3", ["neither", "LOG_LEVEL 3"]),
]


def check_refusal(name, status, output, words):
    flat = " ".join(output.split())
    if status == 0:
        return core.failed(name, "it was accepted")
    missing = [word for word in words if word not in flat]
    return (
        core.failed(name, f"the message lacks {missing}:\n{output}")
        if missing
        else core.passed(name)
    )


def refused_option(options, words):
    name = f"config/refused: {' '.join(options)}"
    with tempfile.TemporaryDirectory(prefix="samepage-config-") as where:
        status, output = core.command(["cmake", "--preset", "default", "-B", where, *options])
    return check_refusal(name, status, output, words)


def refused_line(line, words):
    """The same for a line in a .config that is already there."""
    name = f"config/refused: .config with {' and '.join(line.splitlines())}"
    with tempfile.TemporaryDirectory(prefix="samepage-config-") as where:
        script = [
            os.path.join(core.ROOT, "scripts", "kconfig.py"),
            "--source",
            core.ROOT,
            "--work",
            where,
        ]
        core.command([*script, "--defconfig", os.path.join(core.ROOT, "configs", "qemu_defconfig")])
        with open(f"{where}/.config", "a", encoding="utf-8") as config:
            config.write(line + "\n")
        status, output = core.command([*script, "--keep"])
    return check_refusal(name, status, output, words)


def unknown_line():
    """A symbol of .config that Kconfig does not have is warned of, and left out."""
    name = "config/unknown symbol"
    with tempfile.TemporaryDirectory(prefix="samepage-config-") as where:
        configure_here = ["cmake", "--preset", "default", "-B", where]
        core.command(configure_here)
        with open(f"{where}/kconfig/.config", "a", encoding="utf-8") as config:
            config.write("CONFIG_LOG_LEVLE=2\n")
        status, output = core.command(configure_here)
    flat = " ".join(output.split())
    if status or "CONFIG_LOG_LEVLE=2: no such symbol, left out" not in flat:
        return core.failed(name, f"status {status}\n{output}")
    return core.passed(name)


def refusal_is_not_kept():
    """After a refused -D, the same command without it succeeds."""
    name = "config/refusal is not kept"
    for option in ("-DSAMEPAGE_DEFCONFIG=nowhere", "-DCONFIG_MAX_CPUS=65", "-DCONFIG_NO_SUCH=y"):
        with tempfile.TemporaryDirectory(prefix="samepage-config-") as where:
            configure_here = ["cmake", "--preset", "default", "-B", where]
            refused, _ = core.command([*configure_here, option])
            status, output = core.command(configure_here)
        if not refused or status:
            return core.failed(name, f"{option}: status {refused}, then {status}\n{output}")
    return core.passed(name)


def defconfig_round_trip():
    """Each defconfig configures, and what savedefconfig writes of it configures to the same."""
    results = []
    script = os.path.join(core.ROOT, "scripts", "kconfig.py")
    for file in sorted(os.listdir(os.path.join(core.ROOT, "configs"))):
        name = f"config/round trip: {file}"
        with tempfile.TemporaryDirectory(prefix="samepage-config-") as where:
            once = [script, "--source", core.ROOT, "--work", f"{where}/a"]
            again = [
                script,
                "--source",
                core.ROOT,
                "--work",
                f"{where}/b",
                "--defconfig",
                f"{where}/saved",
            ]
            steps = [
                [*once, "--defconfig", os.path.join(core.ROOT, "configs", file)],
                [*once, "--save", f"{where}/saved"],
                again,
                ["cmp", f"{where}/a/.config", f"{where}/b/.config"],
            ]
            bad = next(
                (
                    (step, output)
                    for step in steps
                    for status, output in [core.command(step)]
                    if status
                ),
                None,
            )
        results += core.failed(name, f"{bad[0]}\n{bad[1]}") if bad else core.passed(name)
    return results


def toggling():
    """An option rebuilds the objects that name it, all of them and no other."""
    name = "config/toggling CONFIG_LOCK_RANK rebuilds just what names it"
    where = folder("debug")
    marker = "include/config/lock/rank.h"
    deps = core.command(["ninja", "-C", where, "-t", "deps"])[1]
    naming = {block.split(":")[0] for block in deps.split("\n\n") if marker in block}
    try:
        status, output = core.command(["cmake", where, "-DCONFIG_LOCK_RANK=n"])
        plan = core.command(["ninja", "-C", where, "-n", "-v"])[1]
    finally:
        core.command(["cmake", where, "-DSAMEPAGE_DEFCONFIG_USED="])
        core.command(["cmake", "--build", where], timeout=1200)
    if status:
        return core.failed(name, output)
    rebuilt = set(re.findall(r" -o (\S+\.o) -c ", plan))
    rebuilt = {path for path in rebuilt if ".ksyms." not in path}
    if rebuilt != naming or not naming:
        return core.failed(name, f"rebuilt {sorted(rebuilt)}, but these name it: {sorted(naming)}")
    return core.passed(name)


def tests():
    need = ("base", "gcc")
    found = [test(name) for name in BUILDS]
    found += [
        core.Test(
            f"config/refused: {' '.join(options)}",
            lambda o=options, w=words: refused_option(o, w),
            packages=need,
        )
        for options, words in REFUSED
    ]
    found += [core.Test(f"config/refused: .config with {line.splitlines()[0]}",
                        lambda l=line, w=words: refused_line(l, w), packages=need)
              for line, words in BAD_LINES]
    found += [core.Test(name, run, packages=need) for name, run in (
        ("config/unknown symbol", unknown_line),
        ("config/refusal is not kept", refusal_is_not_kept),
        ("config/round trip", defconfig_round_trip),
    )]
    found.append(core.Test("config/toggling", toggling, {"debug": core.ALL}, alone=True))
    return found
