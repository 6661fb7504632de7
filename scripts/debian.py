# SPDX-License-Identifier: Apache-2.0
"""
debian.py: a Debian system for guests, as a disk image: made by mmdebstrap from the archive that
this computer's apt uses, with the modules of linux/cloud, kept in build/linux/.

Needs no root: without it mmdebstrap works in a user namespace. Nothing of the system is installed
on this computer.
"""
import glob
import os
import shlex
import subprocess
import sys
import tempfile

SUITE = "bookworm"
PACKAGES = "systemd-sysv,udev,kmod,iproute2,iputils-ping"
SIZE = "448M"
# The daemons of an idle desktop, without its screen.
DESKTOP = (PACKAGES + ",dbus,rsyslog,cron,avahi-daemon,polkitd,accountsservice,upower,udisks2,"
           "rtkit,modemmanager,network-manager")
DESKTOP_SIZE = "640M"
# What no guest reads.
EXCLUDED = ("usr/share/locale", "usr/share/doc", "usr/share/man", "usr/share/info", "var/cache/apt",
            "var/lib/apt/lists")
LABEL = "samepage"

FSTAB = "/dev/vda / ext4 defaults 0 1\n"
# A guest with the word job=poweroff on its kernel's line has no login but this. With idle=N it
# rests for N seconds before.
JOB = """[Unit]
Description=Says what runs and powers off
ConditionKernelCommandLine=job=poweroff
After=systemd-user-sessions.service getty.target

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/job

[Install]
WantedBy=multi-user.target
"""
SCRIPT = """#!/bin/sh
. /etc/os-release
{
	echo "debian: $PRETTY_NAME, $(systemctl --version | head -n 1)"
	echo "debian: root on $(findmnt -n -o SOURCE,FSTYPE / | tr -s ' ')"
	echo "debian: $(systemctl list-units --state=failed --no-legend | wc -l) units failed"
	running=$(systemctl list-units --type=service --state=running --no-legend | wc -l)
	echo "debian: $running services run"
} >/dev/console
sleep "$(sed -n 's/.*\bidle=\([0-9]*\).*/\1/p' /proc/cmdline | grep . || echo 0)"
systemctl --no-block poweroff
"""


def sources():
    """apt's lists of archives."""
    found = [*glob.glob("/etc/apt/sources.list"), *glob.glob("/etc/apt/sources.list.d/*.sources"),
             *glob.glob("/etc/apt/sources.list.d/*.list")]
    return sorted(found)


def write(top, path, text, mode=0o644):
    path = os.path.join(top, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, mode)


def lay_out(top):
    """The files that the image has besides Debian's."""
    write(top, "etc/fstab", FSTAB)
    write(top, "etc/hostname", "guest\n")
    write(top, "etc/systemd/system/job.service", JOB)
    write(top, "usr/local/sbin/job", SCRIPT, 0o755)


def hooks(files, modules, out, size):
    """
    mmdebstrap's hooks, in the new root $1. The image is made beside it, where the owners of files
    are right, moved into it and copied out.
    """
    clean = " ".join(f'"$1/{path}"/*' for path in EXCLUDED)
    version = os.path.basename(modules)
    return [
        f"copy-in {shlex.quote(files)}/etc {shlex.quote(files)}/usr /",
        f"copy-in {shlex.quote(os.path.dirname(modules))} /usr/lib",
        f'chroot "$1" depmod {shlex.quote(version)}',
        'chroot "$1" passwd -d root',
        'chroot "$1" systemctl enable job.service',
        f"rm -rf {clean}",
        'mkdir "$1.root" && cp -a --one-file-system "$1"/. "$1.root"',
        f'/sbin/mke2fs -q -F -t ext4 -L {LABEL} -d "$1.root" "$1/disk.img" {size}',
        'rm -rf "$1.root"',
        f"copy-out /disk.img {shlex.quote(out)}",
    ]


def make(path, modules, packages=PACKAGES, size=SIZE):
    """The image at `path`, with the folder of a kernel's modules. Raises CalledProcessError."""
    print("samepage: making a Debian system (some minutes, once) ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="samepage-debian-") as top:
        os.chmod(top, 0o755)
        files, out = os.path.join(top, "files"), os.path.join(top, "out")
        os.mkdir(out)
        lay_out(files)
        command = ["mmdebstrap", "--quiet", "--variant=minbase", "--format=null",
                   f"--include={packages}"]
        command += [f"--customize-hook={hook}" for hook in hooks(files, modules, out, size)]
        subprocess.run([*command, SUITE, "-", *sources()], check=True, capture_output=True,
                       text=True, stdin=subprocess.DEVNULL)
        subprocess.run(["cp", "--sparse=always", os.path.join(out, "disk.img"), path + ".part"],
                       check=True)
    os.rename(path + ".part", path)
