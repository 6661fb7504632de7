# SPDX-License-Identifier: Apache-2.0
# work.sh: the main job's workload: files that both guests have, changed a little while their pages are merged.
say() { echo "work: $*"; }
mkdir /tmp/tree
for i in 1 2 3 4 5 6; do cp /bin/busybox "/tmp/tree/program$i"; done
i=0
while [ $i -lt 200 ]; do
	echo "line $i of a file that every guest has" >"/tmp/tree/text$i"
	i=$((i + 1))
done
say "$(find /tmp/tree -type f | wc -l) files, $(du -sk /tmp/tree | cut -f1) KiB"
md5sum /tmp/tree/* >/tmp/sums
for round in 1 2 3; do
	sleep 2
	for i in 1 2 3 4 5 6; do echo "round $round" >>"/tmp/tree/text$i"; done
	grep -v -E 'text[1-6]$' /tmp/sums | md5sum -c -s && say "round $round: every file reads as it was written"
done
sort /tmp/tree/text* | md5sum
grep -v -E 'text[1-6]$' /tmp/sums | md5sum -c -s || say "FILES DIFFER"
say "done"
