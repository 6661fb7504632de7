#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# virtio_init.sh: the first program of the peer of `./run bench virtio`: Linux with KVM runs a guest
# in QEMU, with a disk of QEMU's virtio in a file in memory, or with a card at a tap. With part=bare
# the guest is bench_virtio.elf, once for each of its cases and once for none; KVM's count of exits
# is printed after each. With part=linux it is Linux with the job of diskbench.sh.
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t debugfs debug /sys/kernel/debug
mkdir -p /out
mount -t tmpfs out /out
for module in ccp irqbypass kvm kvm-amd tun; do
	[ -f /mods/$module.ko ] && insmod /mods/$module.ko
done
mkdir -p /dev/net
[ -c /dev/net/tun ] || mknod /dev/net/tun c 10 200
tunctl -t lan >/dev/null
ip link set lan up
dd if=/dev/zero of=/out/disk bs=1M count=24 2>/dev/null
disk="-drive file=/out/disk,format=raw,if=none,id=disk,cache=writeback
	-device virtio-blk-pci,drive=disk,disable-legacy=on"
card="-netdev tap,id=lan,ifname=lan,script=no,downscript=no,vhost=off
	-device virtio-net-pci,netdev=lan,disable-legacy=on,romfile="

# Device, memory in MiB, kernel, RAM disk or none, command line.
run_guest() {
	device=$1 memory=$2 kernel=$3 initrd=$4
	shift 4
	: >/out/log
	# shellcheck disable=SC2086
	/usr/bin/qemu-system-x86_64 -L /usr/share/qemu -nodefaults -accel kvm -cpu host \
		-machine pc -m "$memory" -display none -serial file:/out/log -no-reboot \
		-kernel "$kernel" \
		${initrd:+-initrd "$initrd"} $device -append "$*" </dev/null &
	qemu=$!
}

# The guest halts at its end, so its exits can still be read.
run_case() {
	device=$1
	shift
	run_guest "$device" 24 /l2/bench.elf "" "$@"
	until grep -q failed /out/log; do
		[ -d /proc/$qemu ] || break
		sleep 0.05
	done
	echo "peer: case $* exits $(cat /sys/kernel/debug/kvm/exits)"
	cat /out/log
	kill $qemu
	wait $qemu
}

if grep -q part=linux /proc/cmdline; then
	run_guest "$disk" 128 /l2/vmlinuz /l2/job.initrd console=ttyS0 quiet tsc=reliable panic=-1
	wait $qemu
	cat /out/log
else
	for number in 0 1 2 3 4; do run_case "$disk" disk case=$number; done
	for number in 0 1 2 3; do run_case "$card" alone case=$number; done
fi
poweroff -f
