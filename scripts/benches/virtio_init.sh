#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# virtio_init.sh: the first program of the peer of `./run bench virtio`: Linux with KVM runs one
# guest in QEMU, with a disk of QEMU's virtio in a file in memory.
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /out
mount -t tmpfs out /out
for module in ccp irqbypass kvm kvm-amd; do
	[ -f /mods/$module.ko ] && insmod /mods/$module.ko
done
dd if=/dev/zero of=/out/disk bs=1M count=24 2>/dev/null
/usr/bin/qemu-system-x86_64 -L /usr/share/qemu -nodefaults -accel kvm -cpu host -machine pc -m 128 \
	-display none -serial file:/out/log -no-reboot -kernel /l2/vmlinuz -initrd /l2/job.initrd \
	-drive file=/out/disk,format=raw,if=none,id=disk,cache=writeback \
	-device virtio-blk-pci,drive=disk,disable-legacy=on \
	-append "console=ttyS0 quiet tsc=reliable panic=-1" </dev/null
cat /out/log
poweroff -f
