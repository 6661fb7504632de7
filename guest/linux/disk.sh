# SPDX-License-Identifier: Apache-2.0
# disk.sh: a disk with ext4 (linux/files.img). Reads its files against their sums, changes some in
# a way of its own (seed=), and reads all of them again from the disk.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/block/virtio_blk.ko
say() { echo "disk: $*"; }
again() {
	umount /mnt && mount -t ext4 /dev/vda /mnt && cd /mnt || say "NOT MOUNTED"
}
mkdir -p /mnt
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk; do
	insmod "$(find /lib/modules -name $name.ko)" || say "NO MODULE $name"
done
vda=/sys/block/vda
say "$(cat $vda/size) sectors, $(ls $vda/mq | wc -l) queue(s), id $(cat $vda/serial)"
mount -t ext4 /dev/vda /mnt && cd /mnt || say "NOT MOUNTED"
md5sum -c -s sums && say "every file reads as it was made"
test -e mine && say "ANOTHER VM WROTE HERE"
echo "written by seed $seed" >mine
for i in 1 2 3 4; do cat program program >"copy$i"; done
for i in 11 12 13 14 15; do echo "$seed changes it" >>"text$i"; done
md5sum program copy* mine text* >sums2
cd / && again
md5sum -c -s sums2 && say "and as it was written, after another mount"
rm copy1 copy2
cd / && fstrim /mnt && again
grep -v copy sums2 | md5sum -c -s && say "and after a trim"
cd / && umount /mnt
say "interrupts: $(grep -c virtio /proc/interrupts) line(s)"
sync
say "done"
