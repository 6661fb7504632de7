# SPDX-License-Identifier: Apache-2.0
# tree.sh: the headers of a kernel's source tree (linux/tree.img, mounted by the job root), read as
# a build of the kernel reads them: each file is found, read, searched for options, archived.
say() { echo "tree: $*"; }
now() { cut -d' ' -f1 /proc/uptime | tr -d .; }
cd /root || exit
start=$(now)
files=$(find . -type f | wc -l)
md5sum -c -s sums || say "FILES DIFFER"
options=$(find arch -name '*.h' -print0 | xargs -0 grep -ho 'CONFIG_[A-Z0-9_]*' | sort -u | wc -l)
tar c arch | gzip -1 >/tmp/archive
mkdir /tmp/copy
gunzip -c </tmp/archive | tar x -C /tmp/copy
(cd /tmp/copy && grep '  arch/' /root/sums | md5sum -c -s) || say "FILES DIFFER: archive"
end=$(now)
echo "bench: tree_requests $files files"
echo "bench: tree_ms $(((end - start) * 10)) ms"
say "$files files, $options options, archive of $(wc -c </tmp/archive) bytes"
cd / && umount /root
say "done"
