#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kvm_init.sh: the first program of the peer of `./run bench guest` and `density`: Linux with KVM
# runs guests=N (2) guests of memory=MIB (192) with the main job, each in QEMU, with KSM as the
# kernel's command line says (ksm=PAGES, ksm=off); with job=NAME one with that RAM disk, and its
# console is printed. peer.py reads the lines "peer: ...".
export PATH=/bin:/usr/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /out
mount -t tmpfs out /out
for module in ccp irqbypass kvm kvm-amd; do
	[ -f /mods/$module.ko ] && insmod /mods/$module.ko
done
ksm=$(sed 's/.*ksm=\([a-z0-9]*\).*/\1/' /proc/cmdline)
control=/sys/kernel/mm/ksm
if [ "$ksm" != off ]; then
	echo "$ksm" >$control/pages_to_scan
	echo 20 >$control/sleep_millisecs
	echo 1 >$control/run
fi
count=${guests:-2}
memory=${memory:-192}
[ -n "$job" ] && count=1
now() { cut -d' ' -f1 /proc/uptime; }
# KiB of memory that no file has, each frame once.
anonymous() { sed -n 's/^AnonPages: *\([0-9]*\).*/\1/p' /proc/meminfo; }
# KiB of it that all QEMUs have beside their guests' memory.
own() {
	for process in $(pidof qemu-system-x86_64); do cat "/proc/$process/smaps"; done |
	awk -v size=$((memory * 1024)) '$1 == "Size:" { guest = $2 == size }
		$1 == "Anonymous:" && !guest { own += $2 }
		END { print "peer: own " own + 0 }'
}
echo "peer: before anonymous $(anonymous)"
echo "peer: start $(now)"
for guest in $(seq $count); do
	(
		/usr/bin/qemu-system-x86_64 -L /usr/share/qemu -nodefaults -accel kvm -cpu host \
			-machine pc -m "$memory" -display none -serial file:/out/$guest -no-reboot \
			-kernel /l2/vmlinuz -initrd "/l2/${job:-work}.initrd" \
			-append "console=ttyS0 quiet tsc=reliable panic=-1" </dev/null
		echo "peer: end $(now)"
		: >/out/ended.$guest
	) &
done
sample=0
until [ "$(ls /out | grep -c ended)" = $count ]; do
	echo "peer: at $(now) sharing $(cat $control/pages_sharing) anonymous $(anonymous)"
	sample=$((sample + 1))
	[ $((sample % 8)) = 0 ] && own
	sleep 0.5
done
echo "peer: ksmd $(cut -d' ' -f1 "/proc/$(pidof ksmd)/schedstat")"
[ -n "$job" ] && cat /out/1
for guest in $(seq $count); do
	grep -q "work: done" /out/$guest && echo "peer: worked $guest"
done
poweroff -f
