# SPDX-License-Identifier: Apache-2.0
# netboot.sh: a DHCP and HTTP server for a guest that starts by the network, as iPXE does. The guest
# gets memdisk, and for it a disk with the content of this guest's own.
# with syslinux-common: usr/lib/syslinux/memdisk
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/block/virtio_blk.ko
# with linux/cloud: lib/modules/*/kernel/net/core/failover.ko
# with linux/cloud: lib/modules/*/kernel/drivers/net/net_failover.ko
# with linux/cloud: lib/modules/*/kernel/drivers/net/virtio_net.ko
say() { echo "netboot: $*"; }
load() {
	for name in "$@"; do
		grep -q "^$(echo $name | tr - _) " /proc/modules && continue
		insmod "$(find /lib/modules -name $name.ko)" || say "NO MODULE $name"
	done
}
load virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk
load failover net_failover virtio_net
ip address add 10.0.0.1/24 dev eth0 && ip link set eth0 up
mkdir /www && cp /usr/lib/syslinux/memdisk /www/memdisk && cat /dev/vda >/www/boot.img
cat >/www/boot.ipxe <<'END'
#!ipxe
echo netboot: a script by HTTP
kernel memdisk harddisk c=2 h=16 s=63
initrd boot.img
boot
END
cat >/tmp/udhcpd.conf <<'END'
start 10.0.0.10
end 10.0.0.20
interface eth0
lease_file /tmp/leases
pidfile /tmp/udhcpd.pid
opt subnet 255.255.255.0
boot_file http://10.0.0.1/boot.ipxe
END
touch /tmp/leases
httpd -f -vv -h /www 2>/tmp/log &
udhcpd -f /tmp/udhcpd.conf &
say "ready"
# The last file has been sent when its connection is closed.
until grep -q "url:/boot.img" /tmp/log; do sleep 1; done
while netstat -tn | grep -q ESTABLISHED; do sleep 1; done
say "served"
