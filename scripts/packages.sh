#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# packages.sh: makes sure that Debian's packages for some purposes are installed. Never interactive.
# As root it installs what is missing and names it; otherwise it prints the one command to give, and
# fails.
#
# Usage: packages.sh PURPOSE...     one of the words below, e.g. packages.sh base gcc
set -eu

# Every purpose, for an image that runs everything.
all='python base gcc clang qemu labs bochs iso gdb debian report experiment slurm
     completion man bench trace unit xml zydis acpi format cppcheck pyflakes spin terminal
     partitions'

packages_for()
{
	case $1 in
	all) for each in $all; do packages_for "$each"; done ;;
	python) echo python3 ;;
	base) echo python3 git cmake ninja-build binutils kconfig-frontends-nox \
		     libck-dev libbsd-dev libxxhash-dev ;;
	gcc) echo gcc libc6-dev ;;
	clang) echo clang llvm libclang-rt-14-dev ;;
	qemu) echo qemu-system-x86 ;;
	labs) echo git universal-ctags ;;
	bochs) echo bochs bochsbios vgabios grub-common grub-pc-bin xorriso mtools ;;
	iso) echo grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools ovmf ;;
	gdb) echo gdb ;;
	debian) echo mmdebstrap e2fsprogs uidmap ;;
	partitions) echo fdisk qemu-utils ;;
	report) echo python3-jinja2 python3-matplotlib ;;
	experiment) echo snakemake python3-matplotlib python3-jinja2 python3-markdown ;;
	slurm) echo slurm-wlm munge ;;
	completion) echo python3-argcomplete ;;
	man) echo help2man man-db ;;
	bench) echo valgrind ;;
	trace) echo babeltrace2 python3-bt2 ;;
	unit) echo libcmocka-dev ;;
	xml) echo libxml2-utils ;;
	zydis) echo libzydis-dev ;;
	acpi) echo acpica-tools ;;
	format) echo clang-format ;;
	cppcheck) echo cppcheck ;;
	pyflakes) echo pyflakes3 ;;
	spin) echo spin ;;
	terminal) echo python3-pexpect ;;
	*)
		echo "packages.sh: $1: no such purpose" >&2
		exit 2
		;;
	esac
}

needed=$(for purpose in "$@"; do packages_for "$purpose"; done)
if ! command -v dpkg-query >/dev/null; then
	echo "samepage: not a Debian system; these packages are needed:" $needed >&2
	exit 0
fi
missing=
for package in $needed; do
	status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	case " $missing " in *" $package "*) continue ;; esac
	[ "$status" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "samepage: some packages are missing. Give this command, then try again:" >&2
	echo "    sudo apt-get install -y --no-install-recommends$missing" >&2
	exit 1
fi
echo "samepage: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
install="apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0"
# The lists may be missing or stale, which shows as a failure: then they are fetched, once.
$install $missing >/dev/null 2>&1 || { apt-get update -qq >&2 && $install $missing >/dev/null; }
