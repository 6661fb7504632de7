# SPDX-License-Identifier: Apache-2.0
# web.sh: a web server under load: busybox httpd serves 64 files, wget fetches them in turn.
#
# requests=N on the kernel's command line (400). Each answer is compared with the file.
say() { echo "web: $*"; }
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
requests=${requests:-400}
ifconfig lo 127.0.0.1 up
mkdir /tmp/www
i=0
while [ $i -lt 64 ]; do
	awk -v n=$i 'BEGIN {
		for (line = 0; line < 50 + n * 8; line++) print "file", n, "line", line, n * line
	}' >"/tmp/www/f$i"
	i=$((i + 1))
done
httpd -p 80 -h /tmp/www
start=$(now)
i=0
bad=0
while [ $i -lt "$requests" ]; do
	wget -q -O /tmp/got "http://127.0.0.1/f$((i % 64))" && cmp -s /tmp/got "/tmp/www/f$((i % 64))" || bad=$((bad + 1))
	i=$((i + 1))
done
end=$(now)
echo "bench: web_requests $requests requests"
echo "bench: web_ms $(((end - start) * 10)) ms"
[ $bad = 0 ] || say "FILES DIFFER: $bad answers"
say "done"
