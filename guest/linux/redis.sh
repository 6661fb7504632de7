# SPDX-License-Identifier: Apache-2.0
# redis.sh: Redis in memory: keys are set, counted up, read back and compared, some of them deleted.
#
# requests=N on the kernel's command line (2000): keys.
# with redis-tools: usr/bin/redis-check-rdb usr/bin/redis-cli
# with libatomic1: usr/lib/x86_64-linux-gnu/libatomic.so.1*
# with liblzf1: usr/lib/x86_64-linux-gnu/liblzf.so.1*
# with libjemalloc2: usr/lib/x86_64-linux-gnu/libjemalloc.so.2*
# with libstdc++6: usr/lib/x86_64-linux-gnu/libstdc++.so.6*
# with libgcc-s1: lib/x86_64-linux-gnu/libgcc_s.so.1
# with libsystemd0: usr/lib/x86_64-linux-gnu/libsystemd.so.0*
# with libssl3: usr/lib/x86_64-linux-gnu/libssl.so.3* usr/lib/x86_64-linux-gnu/libcrypto.so.3*
# with libcap2: lib/x86_64-linux-gnu/libcap.so.2*
# with libgcrypt20: usr/lib/x86_64-linux-gnu/libgcrypt.so.20*
# with libgpg-error0: lib/x86_64-linux-gnu/libgpg-error.so.0*
# with liblzma5: lib/x86_64-linux-gnu/liblzma.so.5*
# with libzstd1: usr/lib/x86_64-linux-gnu/libzstd.so.1*
# with liblz4-1: usr/lib/x86_64-linux-gnu/liblz4.so.1*
# with libc6: lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6
# with libc6: lib/x86_64-linux-gnu/libm.so.6
say() { echo "redis: $*"; }
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
requests=${requests:-2000}
lib=lib/x86_64-linux-gnu
program() {
	what=$1
	shift
	/$lib/ld-linux-x86-64.so.2 --library-path "/$lib:/usr/$lib" --argv0 "$what" "$@"
}
cli() { program redis-cli /usr/bin/redis-cli -p 6379; }
values() {
	awk -v n="$requests" -v form="$1" 'BEGIN {
		for (i = 0; i < n; i++) printf form "\n", i, i * 7919 % 10007
	}'
}
ifconfig lo 127.0.0.1 up
program redis-server /usr/bin/redis-check-rdb --port 6379 --save "" --dir /tmp >/tmp/server 2>&1 &
tries=0
until echo PING | cli 2>/dev/null | grep -q PONG; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || break
	usleep 100000
done
start=$(now)
values 'SET key:%d "value %d of a row that each guest has"' | cli | sort -u >/tmp/set
values 'GET key:%d' | cli >/tmp/got
awk -v n="$requests" 'BEGIN {
	for (i = 0; i < n; i++) printf "value %d of a row that each guest has\n", i * 7919 % 10007
}' >/tmp/expected
cmp -s /tmp/got /tmp/expected || say "FILES DIFFER: values"
values 'INCRBY sum %d' | cli | tail -n 1 >/tmp/sum
values 'DEL key:%d' | awk 'NR % 2' | cli >/dev/null
left=$(echo DBSIZE | cli)
end=$(now)
echo "bench: redis_requests $requests keys"
echo "bench: redis_ms $(((end - start) * 10)) ms"
say "set $(cat /tmp/set), sum $(cat /tmp/sum), $left keys left"
echo SHUTDOWN NOSAVE | cli >/dev/null 2>&1
say "done"
