# SPDX-License-Identifier: Apache-2.0
# queues.sh: a disk with ext4 (linux/files.img). Each CPU, all at a time, copies a file past the
# page cache and compares the copy, so each queue of the disk has requests.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/block/virtio_blk.ko
say() { echo "queues: $*"; }
mkdir -p /mnt
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
	insmod "$(find /lib/modules -name $name.ko)" || say "NO MODULE $name"
done
mount -t ext4 /dev/vda /mnt && cd /mnt || say "NOT MOUNTED"
count=$(ls /sys/block/vda/mq | wc -l)
copy() {
	dd if=program of="queue$1" bs=64k iflag=direct conv=fsync 2>/dev/null
	dd if="queue$1" bs=64k iflag=direct 2>/dev/null | cmp - program && echo same >"/tmp/queue$1"
}
cpu=0
while [ $cpu -lt "$count" ]; do
	taskset -p $((1 << cpu)) $$ >/dev/null # for the next child
	for round in 1 2 3; do copy $cpu; done &
	cpu=$((cpu + 1))
done
wait
say "$(cat /tmp/queue* | wc -l) of $count copies are the same"
say "$(awk '/virtio.*-req/ {
	n = 0
	for (i = 2; i <= NF; i++) if ($i ~ /^[0-9]+$/) n += $i
	count += n > 0
}
END {print count + 0}' /proc/interrupts) queues had interrupts"
cd / && umount /mnt
say "done"
