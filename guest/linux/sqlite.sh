# SPDX-License-Identifier: Apache-2.0
# sqlite.sh: SQLite in a file: rows are inserted in transactions, indexed, updated, deleted, summed.
#
# requests=N on the kernel's command line (2000): rows. The sums must be those of the formula.
# with sqlite3: usr/bin/sqlite3
# with libsqlite3-0: usr/lib/x86_64-linux-gnu/libsqlite3.so.0*
# with libreadline8: lib/x86_64-linux-gnu/libreadline.so.8*
# with libtinfo6: lib/x86_64-linux-gnu/libtinfo.so.6*
# with zlib1g: lib/x86_64-linux-gnu/libz.so.1*
# with libc6: lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6
# with libc6: lib/x86_64-linux-gnu/libm.so.6
say() { echo "sqlite: $*"; }
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
requests=${requests:-2000}
lib=lib/x86_64-linux-gnu
sql() { /$lib/ld-linux-x86-64.so.2 --library-path "/$lib:/usr/$lib" /usr/bin/sqlite3 /tmp/db "$@"; }
start=$(now)
sql "PRAGMA journal_mode=WAL;
	CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, text TEXT);" >/tmp/mode
awk -v n="$requests" 'BEGIN {
	for (i = 0; i < n; i++) {
		if (i % 100 == 0) print "BEGIN;"
		printf "INSERT INTO t VALUES(%d, %d, ", i, i * 7919 % 10007
		printf "\"row %d of a table that each guest has\");\n", i
		if (i % 100 == 99 || i == n - 1) print "COMMIT;"
	}
}' | sql
sql "CREATE INDEX k ON t(k);
	UPDATE t SET k = k + 1 WHERE id % 10 = 0;
	DELETE FROM t WHERE id % 50 = 7;"
sum=$(sql "SELECT sum(k) + count(*) FROM t WHERE k >= 0;")
expected=$(awk -v n="$requests" 'BEGIN {
	for (i = 0; i < n; i++) if (i % 50 != 7) s += i * 7919 % 10007 + (i % 10 == 0) + 1
	printf "%d\n", s
}')
end=$(now)
echo "bench: sqlite_requests $requests rows"
echo "bench: sqlite_ms $(((end - start) * 10)) ms"
[ "$sum" = "$expected" ] || say "FILES DIFFER: $sum, not $expected"
say "done"
