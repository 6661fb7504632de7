# SPDX-License-Identifier: Apache-2.0
# devices.sh: the virtio devices but disks: random bytes, a console, with balloon=KIB a
# balloon of so many KiB, and with address= a network: the guest with serve=yes has a file for the
# one with peer=, the server's address.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/drivers/char/hw_random/virtio-rng.ko
# with linux/cloud: lib/modules/*/kernel/drivers/char/virtio_console.ko
# with linux/cloud: lib/modules/*/kernel/net/core/failover.ko
# with linux/cloud: lib/modules/*/kernel/drivers/net/net_failover.ko
# with linux/cloud: lib/modules/*/kernel/drivers/net/virtio_net.ko
say() { echo "devices: $*"; }
load() {
	for name in "$@"; do
		grep -q "^$(echo $name | tr - _) " /proc/modules && continue
		insmod "$(find /lib/modules -name $name.ko)" || say "NO MODULE $name"
	done
}
small() {
	load virtio-rng virtio_console
	say "$(dd if=/dev/hwrng bs=64 count=4 2>/dev/null | wc -c) random bytes"
	for i in 1 2 3 4 5 6 7 8 9; do echo "hvc: line $i of the console"; done >/dev/hvc0
}
# The balloon is full when its pages are missing from the guest's.
balloon() {
	before=$(awk '$1 == "MemFree:" { print $2 }' /proc/meminfo)
	load virtio_balloon
	for i in $(seq 60); do
		now=$(awk '$1 == "MemFree:" { print $2 }' /proc/meminfo)
		test $((before - now)) -ge $balloon && break
		sleep 0.2
	done
	test $((before - now)) -ge $balloon && say "the balloon is full"
}
network() {
	load failover net_failover virtio_net
	say "address $(cat /sys/class/net/eth0/address)"
	ip address add $address/24 dev eth0 && ip link set eth0 up
}
# A file of 2 MiB that both guests have; the client says when it has all.
content() { cat /bin/busybox; }
server() {
	mkdir /www && content >/www/file
	httpd -h /www
	nc -l -p 9
	say "served"
}
client() {
	until ping -c 1 -W 1 $peer >/dev/null; do :; done
	say "ping: $(ping -c 5 -i 0.1 -s 1400 $peer | grep -o '.* received')"
	until wget -q -O /tmp/file http://$peer/file; do :; done
	test "$(md5sum </tmp/file)" = "$(content | md5sum)" && say "the file is the same"
	until echo "devices: the client is done" | nc $peer 9; do :; done
}
load virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
test -e /sys/bus/virtio/devices/virtio1 && small
test -n "$balloon" && balloon
test -n "$address" && network
test -n "$serve" && server
test -n "$peer" && client
say "done"
