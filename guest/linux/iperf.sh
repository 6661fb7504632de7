# SPDX-License-Identifier: Apache-2.0
# iperf.sh: two guests on one network measure it with Debian's iperf3: the guest with serve=yes is
# the server, the one with peer=ADDRESS its client. Frames of a TCP stream are as large as both
# drivers have negotiated; off=yes takes the offloads away in this guest.
# with linux/cloud: lib/modules/*/kernel/drivers/virtio/virtio*.ko
# with linux/cloud: lib/modules/*/kernel/net/core/failover.ko
# with linux/cloud: lib/modules/*/kernel/drivers/net/net_failover.ko
# with linux/cloud: lib/modules/*/kernel/drivers/net/virtio_net.ko
# with iperf3: usr/bin/iperf3
# with libiperf0: usr/lib/x86_64-linux-gnu/libiperf.so.0*
# with libsctp1: usr/lib/x86_64-linux-gnu/libsctp.so.1*
# with libssl3: usr/lib/x86_64-linux-gnu/libcrypto.so.3
# with libc6: lib/x86_64-linux-gnu/libc.so.6 lib/x86_64-linux-gnu/libm.so.6
# with libc6: lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 lib64
say() { echo "iperf: $*"; }
for name in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover \
	net_failover virtio_net; do
	insmod "$(find /lib/modules -name $name.ko)" || say "NO MODULE $name"
done
ip link set lo up
ip address add $address/24 dev eth0 && ip link set eth0 up
mkdir -p /var/run /run
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu
if [ -n "$serve" ]; then
	iperf3 -s -1 >/tmp/log 2>&1
	grep -q receiver /tmp/log && say "served"
else
	until ping -c 1 -W 1 $peer >/dev/null; do :; done
	until iperf3 -c $peer -n ${bytes:-16M} >/tmp/log 2>&1; do sleep 1; done
	say "$(grep receiver /tmp/log)"
	say "retransmitted $(awk '/sender/ { print $(NF - 1) }' /tmp/log)"
fi
