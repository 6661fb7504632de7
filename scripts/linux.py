# SPDX-License-Identifier: Apache-2.0
"""
linux.py: Debian's kernels and programs for guests, fetched with apt and unpacked in build/linux/,
never installed.

provide(NAME) gives the file of a name, and makes it when it is not there yet:
    linux/cloud         the kernel of linux-image-cloud-amd64
    linux/amd64         the kernel of linux-image-amd64
    linux/686           the kernel of linux-image-686-pae, of the architecture i386
    linux/memtest       memtest86+'s Linux-protocol image
    linux/memtest32     its 32-bit one
    linux/bios          SeaBIOS, of QEMU's firmware
    linux/ipxe.iso      iPXE, a CD that also boots as a disk
    linux/memdisk       memdisk, which a boot loader starts as a kernel
    linux/memdisk.iso   GRUB, which starts memdisk with build/guest/boot.bin as its disk
    linux/grub.iso      GRUB, which starts linux/cloud with linux/hello.initrd
    linux/JOB.initrd    an initial RAM disk with busybox-static that runs guest/linux/JOB.sh and
                        powers off
    linux/A+B.initrd    one that runs two jobs or more, one after the other
    linux/32+A.initrd   one with a 32-bit busybox, for a 32-bit kernel
    linux/files.img     a disk image: ext4 with files and their sums
    linux/share.img     one in blocks of 4 KiB: pages of its files are blocks of the disk
    linux/tree.img      one with the headers of a kernel's source tree
    linux/debian.img    a disk image: a Debian system (debian.py)
    linux/desktop.img   one with the daemons of an idle desktop
    linux/parts.img     the same in the one partition of a disk

The same inputs make the same RAM disk, to the byte.
"""
import contextlib
import functools
import glob
import gzip
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile

import debian
import locks

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "build", "linux")
JOBS = os.path.join(ROOT, "guest", "linux")

CLOUD = "linux/cloud"
# For each name: the package, whether it only depends on the one with the file, and the file.
FILES = {
    CLOUD: ("linux-image-cloud-amd64", True, "boot/vmlinuz-*"),
    "linux/amd64": ("linux-image-amd64", True, "boot/vmlinuz-*"),
    "linux/memtest": ("memtest86+", False, "boot/memtest86+x64.bin"),
    "linux/memtest32": ("memtest86+", False, "boot/memtest86+ia32.bin"),
    "linux/busybox": ("busybox-static", False, "bin/busybox"),
    "linux/bios": ("seabios", False, "usr/share/seabios/bios.bin"),
    "linux/ipxe.iso": ("ipxe", False, "usr/lib/ipxe/ipxe.iso"),
    "linux/memdisk": ("syslinux-common", False, "usr/lib/syslinux/memdisk"),
    "linux/686": ("linux-image-686-pae:i386", True, "boot/vmlinuz-*"),
    "linux/busybox32": ("busybox-static:i386", False, "bin/busybox"),
}


class LinuxError(Exception):
    """A file cannot be had; the text says why."""


def command(arguments, **options):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise LinuxError(f"{' '.join(arguments)} failed:\n{(done.stderr or done.stdout).strip()}")
    return done.stdout


def foreign(package):
    """
    Options of apt for a package of another architecture, NAME:ARCHITECTURE: lists and a state of
    their own, so that this computer's dpkg takes no architecture that it did not have.
    """
    _, _, architecture = package.partition(":")
    if not architecture:
        return []
    where = os.path.join(FOLDER, f"apt-{architecture}")
    for folder in ("state/lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(where, folder), exist_ok=True)
    with open(os.path.join(where, "status"), "a", encoding="ascii"):
        pass
    settings = {
        "Dir::State": f"{where}/state",
        "Dir::State::status": f"{where}/status",
        "Dir::Cache": f"{where}/cache",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
    }
    return [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]


def update(options):
    """Renews the lists; one that is missing shows when a package is."""
    with contextlib.suppress(LinuxError):
        command(["apt-get", *options, "update", "-qq"])


def real_package(meta):
    """The package with the kernel itself, on which the one without a version depends."""
    name, colon, architecture = meta.partition(":")
    options = foreign(meta)
    if options:
        update(options)
    for line in command(["apt-cache", *options, "depends", "--important", name]).splitlines():
        word, _, name = line.strip().partition(": ")
        if word == "Depends" and name.startswith("linux-image-"):
            return name + colon + architecture
    raise LinuxError(f"{meta} depends on no kernel; is this Debian?")


def unpack(package):
    """
    The package's files, in a folder of their own. Nothing of it is installed and nothing of it
    runs.
    """
    where = os.path.join(FOLDER, package)
    if os.path.exists(where):
        return where
    options, name = foreign(package), package.partition(":")[0]
    part = where + ".part"
    shutil.rmtree(part, ignore_errors=True)
    os.makedirs(part)
    print(f"samepage: fetching {package} from Debian ...", file=sys.stderr, flush=True)
    try:
        command(["apt-get", *options, "download", "-q", name], cwd=part)
    except LinuxError:
        # Lists that are missing or stale show as a failure; only root may renew the system's.
        update(options)
        command(["apt-get", *options, "download", "-q", name], cwd=part)
    [archive] = glob.glob(os.path.join(part, "*.deb"))
    command(["dpkg", "-x", archive, part])
    os.remove(archive)
    os.rename(part, where)
    return where


def alone():
    """One at a time: tests that run together fetch the same files."""
    return locks.held(os.path.join(FOLDER, "lock"))


def fetch(name):
    """A file of a Debian package. Within alone()."""
    package, meta, pattern = FILES[name]
    kept = os.path.join(FOLDER, name.removeprefix("linux/") + ".package")
    if not os.path.exists(kept):
        package = real_package(package) if meta else package
        with open(kept + ".part", "w", encoding="ascii") as file:
            file.write(package)
        os.rename(kept + ".part", kept)
    with open(kept, encoding="ascii") as file:
        found = glob.glob(os.path.join(unpack(file.read()), pattern))
    if len(found) != 1:
        raise LinuxError(f"{name}: the package has {len(found)} files like {pattern}")
    # By a short name: a loader puts the path before the module's command line, which has room for
    # so much.
    short = os.path.join(FOLDER, os.path.basename(name))
    if not os.path.exists(short) or not os.path.samefile(short, found[0]):
        shutil.rmtree(short, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            os.remove(short + ".part")	# of a run that was interrupted
        os.link(found[0], short + ".part")
        os.replace(short + ".part", short)
    return short


class Cpio:
    """An archive in the "newc" format that the kernel unpacks; all times are 0, all owners root."""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        path = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (header + path, data):
            self.data += part + b"\0" * (-len(part) % 4)

    def close(self):
        self.inode = -1
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def script(job):
    return os.path.join(JOBS, f"{job}.sh")


def unpacked(package):
    """The folder of a package's files; the package of a kernel by the kernel's name in FILES."""
    if package not in FILES:
        return unpack(package)
    fetch(package)
    kept = os.path.join(FOLDER, package.removeprefix("linux/") + ".package")
    return unpack(read(kept).decode())


def package_files(job):
    """
    The files that the job names in its lines "# with PACKAGE: PATTERN ...": (path in the package,
    where it is unpacked).
    """
    with open(script(job), encoding="utf-8") as text:
        lines = re.findall(r"^# with (\S+): (.*)$", text.read(), re.M)
    for package, patterns in lines:
        where = unpacked(package)
        for pattern in patterns.split():
            found = glob.glob(os.path.join(where, pattern))
            if not found:
                raise LinuxError(f"guest/linux/{job}.sh: {package} has nothing like {pattern}")
            for path in found:
                yield os.path.relpath(path, where), path


def entries_below(name, path):
    """(name, mode, data) of a file, or of a folder and all that is in it."""
    if os.path.islink(path):
        yield name, 0o120777, os.readlink(path).encode()
    elif os.path.isdir(path):
        yield name, 0o040755, b""
        for inner in sorted(os.listdir(path)):
            yield from entries_below(f"{name}/{inner}", os.path.join(path, inner))
    else:
        yield name, 0o100755 if os.access(path, os.X_OK) else 0o100644, read(path)


def contents(jobs):
    """
    The RAM disk of some jobs, as (name, mode, data); a folder may come more than once. "32" among
    them: its programs are 32-bit ones.
    """
    busybox = fetch("linux/busybox")
    program = fetch("linux/busybox32") if "32" in jobs else busybox
    jobs = [job for job in jobs if job != "32"]
    for folder in ("bin", "dev", "etc", "jobs", "proc", "root", "sys", "tmp"):
        yield folder, 0o040755, b""
    yield "bin/busybox", 0o100755, read(program)
    for name in sorted(command([busybox, "--list"]).split()):
        if name != "busybox":
            yield f"bin/{name}", 0o120777, b"busybox"
    yield "init", 0o100755, read(os.path.join(JOBS, "init"))
    yield "job", 0o100644, "".join(f"sh /jobs/{job} || exit\n" for job in jobs).encode()
    for job in jobs:
        yield f"jobs/{job}", 0o100644, read(script(job))
        for name, path in package_files(job):
            parts = name.split("/")
            for depth in range(1, len(parts)):
                yield "/".join(parts[:depth]), 0o040755, b""
            yield from entries_below(name, path)


def initrd(jobs):
    """The RAM disk of some jobs, as bytes."""
    archive = Cpio()
    archive.add("dev", 0o040755)
    archive.add("dev/console", 0o020600, device=(5, 1))
    made = {"dev"}
    for name, mode, data in contents(jobs):
        if name not in made:
            archive.add(name, mode, data)
        made.add(name)
    return gzip.compress(archive.close(), 6, mtime=0)


def lay_out(entries, top):
    """Writes the entries below a folder."""
    for name, mode, data in entries:
        path = os.path.join(top, name)
        if stat.S_ISDIR(mode):
            os.makedirs(path, exist_ok=True)
        elif stat.S_ISLNK(mode):
            os.symlink(data, path)
        else:
            with open(path, "wb") as file:
                file.write(data)
            os.chmod(path, stat.S_IMODE(mode))


@functools.cache
def run_here(jobs, **settings):
    """
    What the jobs print when they run on this computer, with the RAM disk's programs and nothing
    else of it.
    """
    with tempfile.TemporaryDirectory(prefix="samepage-job-") as top:
        with alone():
            files = list(contents(jobs))
        lay_out(files, top)
        environment = {**settings, "PATH": f"{top}/bin", "TOP": top, "TMP": f"{top}/tmp"}
        return "".join(
            command([f"{top}/bin/busybox", "sh", f"{top}/jobs/{job}"], env=environment, cwd=top)
            for job in jobs
        )


def make_initrd(name):
    """Made anew each time, which takes a moment, and written only when it is another one."""
    path = os.path.join(FOLDER, os.path.basename(name))
    data = initrd(jobs_of(name))
    if not os.path.exists(path) or read(path) != data:
        with open(path + ".part", "wb") as file:
            file.write(data)
        os.rename(path + ".part", path)
    return path


IMAGE = "linux/files.img"
IMAGE_SIZE = "24M"
SHARE = "linux/share.img"
SHARE_SIZE = "32M"
SHARE_FILES = 12
TREE = "linux/tree.img"
TREE_SIZE = "48M"
DEBIAN = "linux/debian.img"
DESKTOP = "linux/desktop.img"
PARTS = "linux/parts.img"
MIB = 1 << 20
IMAGE_ID = "5a3e9a6e-0000-4000-8000-00000000d15c"


def image_files():
    """The files of linux/files.img, as (name, data)."""
    yield "program", read(fetch("linux/busybox"))
    for number in range(100):
        yield f"text{number}", f"line of file {number}\n".encode() * (7 * number + 1)


def share_files():
    """The files of linux/share.img: two MiB each, which do not compress and have no equal pages."""
    for number in range(SHARE_FILES):
        seed = hashlib.shake_128(f"share {number}".encode())
        yield f"data{number}", seed.digest(2 << 20)


def tree_files():
    """The files of linux/tree.img: what a build of the kernel includes."""
    version = re.fullmatch(r"linux-image-(.*)-cloud-amd64", os.path.basename(unpacked(CLOUD)))[1]
    package = f"linux-headers-{version}-common"
    top = os.path.join(unpack(package), "usr", "src", package)
    for part in ("include/linux", "arch/x86/include"):
        for path in sorted(glob.glob(os.path.join(top, part, "**"), recursive=True)):
            if os.path.isfile(path):
                yield os.path.relpath(path, top), read(path)


# Of each image: its files, its size, options of mke2fs.
IMAGES = {
    IMAGE: (image_files, IMAGE_SIZE, []),
    SHARE: (share_files, SHARE_SIZE, ["-b", "4096"]),
    TREE: (tree_files, TREE_SIZE, ["-b", "4096"]),
}


def make_image(name):
    """An ext4 file system; made once, as nothing in it changes."""
    files, size, blocks = IMAGES[name]
    path = os.path.join(FOLDER, os.path.basename(name))
    if os.path.exists(path):
        return path
    with tempfile.TemporaryDirectory(prefix="samepage-image-") as top:
        sums = []
        for file, data in files():
            os.makedirs(os.path.dirname(os.path.join(top, file)), exist_ok=True)
            with open(os.path.join(top, file), "wb") as out:
                out.write(data)
            sums.append(f"{hashlib.md5(data).hexdigest()}  {file}\n")
        with open(os.path.join(top, "sums"), "w", encoding="ascii") as out:
            out.write("".join(sums))
        options = f"hash_seed={IMAGE_ID},root_owner=0:0"
        command(
            ["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-d", top, "-U", IMAGE_ID, "-E", options]
            + [*blocks, path + ".part", size],
            env={**os.environ, "E2FSPROGS_FAKE_TIME": "1"},
        )
    os.rename(path + ".part", path)
    return path


# Of each Debian system: what debian.make() takes.
SYSTEMS = {
    DEBIAN: (debian.PACKAGES, debian.SIZE),
    DESKTOP: (debian.DESKTOP, debian.DESKTOP_SIZE),
}


def install(purpose, name):
    """The packages of a purpose of scripts/packages.sh, for an image."""
    need = [os.path.join(ROOT, "scripts", "packages.sh"), purpose]
    if subprocess.run(need, check=False).returncode:
        raise LinuxError(f"{name}: its packages are missing")


def make_debian(name):
    """A Debian system with the modules of linux/cloud; made once, as it takes minutes."""
    path = os.path.join(FOLDER, os.path.basename(name))
    if os.path.exists(path):
        return path
    install("debian", name)
    [modules] = glob.glob(os.path.join(unpacked(CLOUD), "lib/modules/*"))
    try:
        debian.make(path, modules, *SYSTEMS[name])
    except (OSError, subprocess.CalledProcessError) as error:
        text = (getattr(error, "stderr", "") or "").strip()
        raise LinuxError(f"{name}: {error}\n{text}") from error
    return path


def make_parts(name):
    """
    The Debian system in a disk with a partition table, by way of a qcow2 file: what docs/guests.md
    says about images of one's own.
    """
    path = os.path.join(FOLDER, os.path.basename(name))
    if os.path.exists(path):
        return path
    install("partitions", name)
    system = make_debian(DEBIAN)
    with tempfile.TemporaryDirectory(prefix="samepage-parts-", dir=FOLDER) as top:
        raw, qcow2 = os.path.join(top, "disk.img"), os.path.join(top, "disk.qcow2")
        # The table and its copy take a MiB each.
        command(["truncate", "-s", str(os.path.getsize(system) + 2 * MIB), raw])
        command(["/sbin/sfdisk", "-q", raw], input="label: gpt\nstart=1MiB, type=linux\n")
        command(["dd", f"if={system}", f"of={raw}", "bs=1M", "seek=1", "conv=notrunc,sparse"])
        command(["qemu-img", "convert", "-O", "qcow2", raw, qcow2])
        command(["qemu-img", "convert", "-O", "raw", qcow2, path + ".part"])
    os.rename(path + ".part", path)
    return path


# Of each image with GRUB: its commands, and what gives the files that they name.
LOADERS = {
    "linux/memdisk.iso": (
        ["linux16 /kernel harddisk", "initrd16 /disk"],
        {"kernel": lambda: fetch("linux/memdisk"),
         "disk": lambda: os.path.join(ROOT, "build", "guest", "boot.bin")},
    ),
    "linux/grub.iso": (
        ["linux /kernel console=ttyS0 quiet tsc=reliable", "initrd /initrd"],
        {"kernel": lambda: fetch(CLOUD), "initrd": lambda: make_initrd("linux/hello.initrd")},
    ),
}


def make_loader(name):
    """An image that boots by GRUB, as a CD or a disk. Made anew each time, as its parts may be."""
    commands, files = LOADERS[name]
    path = os.path.join(FOLDER, os.path.basename(name))
    install("iso", name)
    with tempfile.TemporaryDirectory(prefix="samepage-grub-") as top:
        os.makedirs(f"{top}/boot/grub")
        for file, find in files.items():
            if not os.path.exists(found := find()):
                raise LinuxError(f"{name}: {found} is missing; ./run builds it")
            shutil.copy(found, f"{top}/{file}")
        with open(f"{top}/boot/grub/grub.cfg", "w", encoding="ascii") as config:
            config.write("\n".join(["set timeout=0", "menuentry it {", *commands, "}", ""]))
        command(["grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", path + ".part", top])
    os.rename(path + ".part", path)
    return path


def jobs_of(name):
    """The jobs of linux/JOB+JOB.initrd, or linux/32+JOB.initrd."""
    return os.path.basename(name).removesuffix(".initrd").split("+")


def names():
    """The names of provide(), one job a RAM disk."""
    jobs = [name[:-3] for name in sorted(os.listdir(JOBS)) if name.endswith(".sh")]
    return [*FILES, *IMAGES, *SYSTEMS, *LOADERS, PARTS, *(f"linux/{job}.initrd" for job in jobs)]


def provides(name):
    """Whether provide() has a file of that name."""
    jobs = jobs_of(name)
    return name in (*FILES, *IMAGES, *SYSTEMS, *LOADERS, PARTS) or (
        name == f"linux/{'+'.join(jobs)}.initrd"
        and all(os.path.exists(script(job)) for job in jobs if job != "32")
    )


def provide(name):
    """The path of a file."""
    with alone():
        if name in SYSTEMS:
            return make_debian(name)
        if name == PARTS:
            return make_parts(name)
        if name in LOADERS:
            return make_loader(name)
        if name in IMAGES:
            return make_image(name)
        return fetch(name) if name in FILES else make_initrd(name)
