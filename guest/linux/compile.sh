# SPDX-License-Identifier: Apache-2.0
# compile.sh: a project in C is written by awk, built by a real compiler, run, changed and built again, twice.
#
# Everything follows from SEED (on the kernel's command line: seed=N), so each guest of a seed has the same files, and so
# has a computer that runs this script with TOP as the root folder of its own (scripts/linux.py runs it so).
#
# with tcc: usr/bin/tcc usr/lib/x86_64-linux-gnu/tcc/libtcc1.a usr/lib/x86_64-linux-gnu/tcc/include
# with musl-dev: usr/include/x86_64-linux-musl usr/lib/x86_64-linux-musl/crt?.o usr/lib/x86_64-linux-musl/libc.a
# with libc6: lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 lib/x86_64-linux-gnu/libc.so.6 lib/x86_64-linux-gnu/libm.so.6
# with libc6: lib/x86_64-linux-gnu/libdl.so.2 lib/x86_64-linux-gnu/libpthread.so.0
set -e
seed=${seed:-1}
modules=${modules:-24}
headers=$TOP/usr/include/x86_64-linux-musl
musl=$TOP/usr/lib/x86_64-linux-musl
tcclib=$TOP/usr/lib/x86_64-linux-gnu/tcc

say() { echo "compile: $*"; }
differ() {
	say "FILES DIFFER: $*"
	exit 1
}

tcc() {
	"$TOP/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --library-path "$TOP/lib/x86_64-linux-gnu" "$TOP/usr/bin/tcc" "$@"
}

# Module m of a round: a table, and functions that call those of the modules before it.
write_module() {
	awk -v m="$1" -v round="$2" -v seed="$seed" '
	function any(n) { x = (x * 16807) % 2147483647; return x % n }
	BEGIN {
		x = seed * 1009 + m * 31 + round * 7919 + 1
		printf "/* Module %d of round %d. */\n#include <stdint.h>\n#include <string.h>\n#include \"all.h\"\n\n", m, round
		printf "static const uint32_t table[512] = {"
		for (i = 0; i < 512; i++) printf "%s%du,", i % 8 ? " " : "\n\t", any(1000000000)
		printf "\n};\n"
		for (f = 0; f < 16; f++) {
			printf "\nuint32_t m%d_f%d(uint32_t a, uint32_t b)\n{\n\tchar text[64] = \"words %d %d\";\n", m, f, any(10000), any(10000)
			printf "\tfor (uint32_t i = 0; i < %d; i++) {\n", 20 + any(60)
			printf "\t\ta = a * %du + table[(b + i * %d) %% 512];\n", any(100000) * 2 + 1, 1 + any(99)
			printf "\t\tb ^= a >> %d | (uint32_t)text[i %% sizeof(text)] << %d;\n\t}\n", 1 + any(15), any(24)
			if (f > 0) printf "\tif (b %% %d == 0)\n\t\tb += m%d_f%d(b, a);\n", 2 + any(5), m, any(f)
			if (m > 0) printf "\ta ^= m%d_f%d(a + %d, b);\n", any(m), 0, any(1000)
			printf "\treturn a + b + (uint32_t)strlen(text);\n}\n"
		}
	}' >"m$1.c"
}

write_main() {
	awk -v modules="$modules" 'BEGIN {
		printf "#include <stdio.h>\n#include \"all.h\"\n\nint main(void)\n{\n\tuint32_t sum = 1;\n"
		for (m = 0; m < modules; m++)
			for (f = 0; f < 16; f++) printf "\tprintf(\"m%d_f%d %%u\\n\", sum = m%d_f%d(sum, %du));\n", m, f, m, f, m * 16 + f
		printf "\treturn 0;\n}\n"
	}' >main.c
}

# What every module offers, found in the sources.
write_header() {
	echo "#include <stdint.h>"
	sed -n 's/^\(uint32_t m[0-9]*_f[0-9]*(.*)\)$/\1;/p' m*.c
}

# What has no object yet. The words of each source are counted on the way.
build() {
	built=0
	for source in m*.c; do
		object=${source%.c}.o
		[ -e "$object" ] && continue
		sed -e 's:/\*.*\*/::' -e 's/[^A-Za-z0-9_]\{1,\}/\n/g' "$source" |
			awk 'NF { n[$1]++ } END { for (word in n) print word, n[word] }' | sort >"${source%.c}.words"
		tcc -B"$tcclib" -nostdinc -I"$tcclib/include" -I"$headers" -c "$source" -o "$object"
		built=$((built + 1))
	done
	rm -f all.a
	tcc -ar all.a m?.o m??.o
	tcc -static -nostdlib -o program "$musl/crt1.o" "$musl/crti.o" main.o all.a "$musl/libc.a" "$tcclib/libtcc1.a" \
		"$musl/libc.a" "$musl/crtn.o"
	./program >"output$round"
	say "round $round: $built compiled, the program says $(tail -n 1 "output$round")"
}

mkdir "$TMP/project"
cd "$TMP/project"
round=0
i=0
while [ $i -lt "$modules" ]; do
	write_module $i 0
	i=$((i + 1))
done
write_main
write_header >all.h
build
for round in 1 2; do
	sha256sum m*.o >"$TMP/objects"
	i=$round
	while [ $i -lt "$modules" ]; do
		rm "m$i.o"
		write_module $i $round
		i=$((i + 4))
	done
	build
	# The objects of modules that did not change must read as they did.
	i=0
	while [ $i -lt "$modules" ]; do
		[ $((i % 4)) = $round ] || grep " m$i.o$" "$TMP/objects"
		i=$((i + 1))
	done | sha256sum -c -s || differ "objects in round $round"
	cat ./*.c >"$TMP/sources"
	gzip -c <"$TMP/sources" >"sources$round.gz"
	gunzip -c "sources$round.gz" | cmp - "$TMP/sources" || differ "sources in round $round"
	cat ./*.o | bzip2 -c >"objects$round.bz2"
done
find . -type f | sort | xargs sha256sum >"$TMP/compile.sums"
say "$(wc -l <"$TMP/compile.sums") files, sum $(sha256sum <"$TMP/compile.sums" | cut -c 1-64)"
