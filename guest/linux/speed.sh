# SPDX-License-Identifier: Apache-2.0
# speed.sh: one job after another, each bound by something else; the times are the guest's own.
# jobs=boot: none, so that two guests are booted and no more.
now() { cut -d' ' -f1 /proc/uptime; }
run() {
	start=$(now)
	"$2"
	echo "speed: $1 $start $(now)"
}
count() {
	i=0
	while [ $i -lt 80000 ]; do i=$((i + 1)); done
}
copy() {
	dd if=/dev/zero of=/tmp/a bs=64k count=640 2>/dev/null
	for round in 1 2 3 4 5 6 7 8 9 10 11 12; do
		dd if=/tmp/a of=/tmp/b bs=64k conv=notrunc 2>/dev/null
	done
}
call() { dd if=/dev/zero of=/dev/null bs=1 count=500000 2>/dev/null; }
fork() {
	i=0
	while [ $i -lt 600 ]; do
		/bin/busybox true
		i=$((i + 1))
	done
}
echo "speed: boot 0 $(now)"
[ "$jobs" = boot ] || {
	run cpu count
	run memory copy
	run syscall call
	run fork fork
}
echo "work: done"
