# SPDX-License-Identifier: Apache-2.0
# files.sh: a tree of files made, copied, renamed, linked, written to in place, archived, unpacked and deleted, and summed.
#
# Everything follows from SEED, as in compile.sh.
set -e
seed=${seed:-1}

say() { echo "files: $*"; }
differ() {
	say "FILES DIFFER: $*"
	exit 1
}

# A file of $2 lines that depends on the seed and its name.
write_text() {
	awk -v name="$1" -v lines="$2" -v seed="$seed" 'BEGIN {
		x = seed * 7919 + lines
		for (i = 1; i <= length(name); i++) x = (x * 31 + index("abcdefghijklmnopqrstuvwxyz0123456789./", substr(name, i, 1))) % 2147483647
		for (l = 0; l < lines; l++) {
			x = (x * 16807) % 2147483647
			printf "%s, line %d: %08x %08x %08x\n", name, l, x % 65521, x % 32749, x
		}
	}' >"$1"
}

# Every file's sum, by name.
sums() {
	(cd "$1" && find . -type f | sort | xargs sha256sum)
}

same() {
	sums "$1" >"$TMP/here"
	cmp -s "$2" "$TMP/here" || differ "$3"
}

make_tree() {
	mkdir "$1"
	for folder in a b c d e f; do
		mkdir -p "$1/$folder/deep/er"
		for file in 1 2 3 4 5 6 7 8; do
			(cd "$1" && write_text "$folder/t$file" $((file * file * 12)))
		done
		(cd "$1" && write_text "$folder/deep/er/leaf" 50)
		head -c $((262144 + seed * 4096 % 65536)) "$TOP/bin/busybox" >"$1/$folder/program"
	done
}

# Into the middle of a file, so that the page around it must be its own from then on.
poke() {
	printf 'round %d of seed %d' "$round" "$seed" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

mkdir "$TMP/files"
cd "$TMP/files"
make_tree tree
sums tree >"$TMP/tree.sums"
say "$(find tree -type f | wc -l) files"
for round in 1 2 3; do
	cp -r tree "copy$round"
	same "copy$round" "$TMP/tree.sums" "a copy in round $round"
	tar c tree | (mkdir "out$round" && tar x -C "out$round")
	same "out$round/tree" "$TMP/tree.sums" "unpacked in round $round"
	for folder in a b c d e f; do
		poke "copy$round/$folder/program" $((round * 20000))
		poke "copy$round/$folder/t8" $((round * 5000))
		mv "copy$round/$folder/t$round" "copy$round/$folder/renamed"
		ln "copy$round/$folder/t7" "copy$round/$folder/linked"
		ln -s ../a/t6 "copy$round/$folder/symbolic"
		cat "copy$round/$folder/symbolic" >>"copy$round/$folder/linked"
		rm "copy$round/$folder/t4"
	done
	rm -r "out$round/tree/b" "out$round/tree/c/deep"
	sort -r "tree/a/t$round" "tree/f/t8" >"out$round/sorted"
	same tree "$TMP/tree.sums" "the tree in round $round"
	say "round $round: $(find . -type f | wc -l) files, $(du -sk . | cut -f 1) KiB"
	[ $round = 1 ] || rm -r "out$((round - 1))"
done
find . -type f | sort | xargs sha256sum >"$TMP/files.sums"
say "$(wc -l <"$TMP/files.sums") files, sum $(sha256sum <"$TMP/files.sums" | cut -c 1-64)"
