# SPDX-License-Identifier: Apache-2.0
# share.sh: reads an image that other guests read too (linux/share.img), by a disk, or with
# source=pmem0 by persistent memory, past the page cache. Reads it twice, stay= seconds apart.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/block/virtio_blk.ko
# with linux/cloud: lib/modules/*/kernel/drivers/nvdimm/*.ko
say() { echo "share: $*"; }
options=ro
modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk"
if [ "$source" = pmem0 ]; then
	options=ro,dax
	modules="$modules libnvdimm nd_virtio virtio_pmem nd_btt nd_pmem"
fi
for name in $modules; do
	file=$(find /lib/modules -name $name.ko)
	[ "$file" ] || continue # built in
	insmod "$file" || say "NO MODULE $name"
done
mkdir -p /mnt
say "$(cat "/sys/block/${source:-vda}/size") sectors of ${source:-vda}"
mount -t ext4 -o $options "/dev/${source:-vda}" /mnt && cd /mnt || say "NOT MOUNTED"
say "mounted $(sed -n 's/.* \/mnt ext4 \([^ ]*\) .*/\1/p' /proc/mounts)"
md5sum -c -s sums && say "every file reads as it was made"
sleep "${stay:-1}"
md5sum -c -s sums && say "and again"
cd / && umount /mnt
if [ "$source" = pmem0 ]; then
	mount -t ext4 -o dax /dev/pmem0 /mnt && cd /mnt || say "NOT MOUNTED"
	echo "written by seed $seed" >mine && sync
	md5sum -c -s sums && say "and after a write: $(cat mine)"
	cd / && umount /mnt
fi
say "done"
