/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badinfo.c: a loader that lies. It is a multiboot kernel of its own, which starts the hypervisor, its first module, with
 * information broken in the way that its command line names:   case=map-size
 *
 *     0x00100000  the hypervisor, put there by its ELF32 program headers
 *     0x00400000  this program, and the information it makes up
 *
 * Why: unit tests show that the parsers survive; this shows that the machine does, through entry.S
 * and all, and that what comes out on the serial console is a clear message. 32-bit code; no
 * library, so what it needs is here.
 */
#include <lib/types.h>
#include <boot/multiboot.h>

#define PAGE 4096u
#define MIB  (1u << 20)

struct mb1_info {
	u32 flags, lower, upper, device, line, module_count, modules, symbols[4], map_length, map,
		drives[2], config, loader;
};

struct mb1_map_entry {
	u32 size;
	u64 start, length;
	u32 type;
} __packed;

struct module {
	u32 start, end, line, reserved;
};

/* What the hypervisor is started with; a case breaks it. */
static struct start {
	u32 magic, information, entry;
} start_with;

static struct mb1_info info;
static struct mb1_map_entry map[128];
static struct module modules[12];
static u64 tags[512]; /* the multiboot 2 information */
static u32 tags_size;
static char endless[8 * PAGE];
static char stack[2 * PAGE] __attribute__((used));

void chain(u32 magic, struct mb1_info *given) __attribute__((used));

static const u32 header[3] __attribute__((used, section(".header"))) = {
	MB1_HEADER_MAGIC, MB1_HEADER_FLAGS, -(u32)(MB1_HEADER_MAGIC + MB1_HEADER_FLAGS)};

__asm__(".globl start\nstart: movl $stack + 8192, %esp; pushl %ebx; pushl %eax; call chain; hlt");

void *memcpy(void *to, const void *from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((volatile char *)to)[i] = ((const char *)from)[i];
	return to;
}

void *memset(void *to, int byte, size_t length)
{
	for (size_t i = 0; i < length; i++)
		((volatile char *)to)[i] = (char)byte;
	return to;
}

static void out8(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

/* For what goes wrong here, in a run that then has no line of the hypervisor's. */
static void __noreturn give_up(const char *why)
{
	for (; *why; why++)
		out8(0x3f8, (u8)*why);
	for (;;)
		__asm__ volatile("hlt");
}

/* --- Multiboot 2 from the information of multiboot 1 --- */

static void *put(const void *bytes, u32 length)
{
	char *at = (char *)tags + tags_size;

	if (tags_size + length > sizeof(tags))
		give_up("badinfo: tags are full");
	memcpy(at, bytes, length);
	tags_size += length;
	return at;
}

static u32 *put_tag(u32 type, u32 size)
{
	tags_size = ALIGN_UP(tags_size, 8);
	return put((u32[]){type, size}, 8);
}

static u32 length_of(const char *text)
{
	u32 length = 0;

	while (text[length])
		length++;
	return length;
}

static u32 *map_tag, *end_tag;

static void make_multiboot2(void)
{
	u32 count = info.map_length / sizeof(map[0]);

	tags_size = 8;
	put_tag(1, 8 + 9);
	put("log=info", 9);
	for (u32 i = 0; i < info.module_count; i++) {
		const char *line = (const char *)modules[i].line;

		put_tag(3, 16 + length_of(line) + 1);
		put(&modules[i].start, 8);
		put(line, length_of(line) + 1);
	}
	map_tag = put_tag(6, 16 + 24 * count);
	put((u32[]){24, 0}, 8);
	for (u32 i = 0; i < count; i++) {
		put(&map[i].start, 16);
		put((u32[]){map[i].type, 0}, 8);
	}
	end_tag = put_tag(0, 8);
	*(u32 *)tags = tags_size;
	start_with.magic = MB2_LOADER_MAGIC;
	start_with.information = (u32)tags;
}

/* Takes the end tag away, for a case that adds tags and then puts a new end. */
static void end_again(void)
{
	put_tag(0, 8);
	*(u32 *)tags = tags_size;
}

/* --- The cases --- */

static void add_map_entry(u64 start, u64 length, u32 type)
{
	map[info.map_length / sizeof(map[0])] = (struct mb1_map_entry){20, start, length, type};
	info.map_length += sizeof(map[0]);
}

/* A module in front of those that are there. */
static void add_module(u32 from, u32 to)
{
	for (u32 i = info.module_count++; i; i--)
		modules[i] = modules[i - 1];
	modules[0] = (struct module){from, to, (u32) "name=bad", 0};
	info.modules = (u32)modules;
	info.flags |= 1 << 3;
}

static void good1(void)
{
}

static void magic(void)
{
	start_with.magic = 0x12345678;
}

static void pointer(void)
{
	start_with.information = 0xfffffff0;
}

static void in_image(void)
{
	start_with.information = MIB + 0x800;
}

static void no_memory(void)
{
	info.flags &= ~((1u << 0) | (1u << 6));
}

static void no_usable(void)
{
	add_map_entry(0, 1ull << 52, 2);
}

static void map_size(void)
{
	map[1].size = 0xffffffff;
}

static void map_wraps(void)
{
	add_map_entry(~0xfffull, 0x2000, 1);
	add_map_entry(MIB, ~0ull, 1);
}

static void map_overlaps(void)
{
	add_map_entry(20 * MIB, 4 * MIB, 2);
	add_map_entry(22 * MIB, 4 * MIB, 4);
	add_map_entry(0, 64 * MIB, 1);
}

/* As if the hypervisor had been put where there is no memory. */
static void image_reserved(void)
{
	add_map_entry(MIB, MIB, 2);
}

/* Beyond what the CPU, and what the direct map, can reach. */
static void far_memory(void)
{
	add_map_entry(1ull << 45, 1ull << 30, 1);
	add_map_entry(1ull << 51, 1ull << 30, 1);
}

static void fragments(void)
{
	for (u32 i = 0; i < 100; i++)
		add_map_entry(16 * MIB + i * 16 * PAGE, PAGE, 2);
}

static void modules_absurd(void)
{
	info.flags |= 1 << 3;
	info.module_count = 0xffffffff;
	info.modules = 0xfffffff8;
}

/* In reverse: each goes in front. */
static void modules_bad(void)
{
	add_module(0xfffff000, 0xffffffff);
	add_module(45 * MIB, 46 * MIB);
	add_module(44 * MIB, 46 * MIB);
	add_module(48 * MIB, 47 * MIB);
	add_module(48 * MIB, 48 * MIB);
	add_module(MIB + PAGE, MIB + 2 * PAGE);
	add_module(0xfee00000, 0xfee01000);
}

static void text_endless(void)
{
	memset(endless, 'x', sizeof(endless));
	info.line = (u32)endless;
	info.flags |= 1 << 2;
}

static void good2(void)
{
	make_multiboot2();
}

static void size_zero(void)
{
	make_multiboot2();
	*(u32 *)tags = 0;
}

static void size_huge(void)
{
	make_multiboot2();
	*(u32 *)tags = 0xffffffff;
}

static void misaligned(void)
{
	make_multiboot2();
	start_with.information += 4;
}

static void tag_zero(void)
{
	make_multiboot2();
	end_tag[0] = 0x7777;
	end_tag[1] = 0;
}

static void tag_long(void)
{
	make_multiboot2();
	map_tag[1] = 0xfffffff0;
}

static void no_end(void)
{
	make_multiboot2();
	*(u32 *)tags -= 8;
}

static void entry_size(void)
{
	make_multiboot2();
	map_tag[2] = 0;
}

static void rsdp_broken(void)
{
	make_multiboot2();
	tags_size -= 8;
	put_tag(15, 8 + 36);
	put("RSD PTR *OEMID \2 no ACPI here, sorry", 36);
	end_again();
}

static void sum_up(u8 *bytes, u32 length, u8 *sum)
{
	u8 total = 0;

	*sum = 0;
	for (u32 i = 0; i < length; i++)
		total = (u8)(total + bytes[i]);
	*sum = (u8)-total;
}

static u8 *put_table(u8 *at, const char *signature, const void *content, u32 length)
{
	memset(at, 0, 36);
	memcpy(at, signature, 4);
	*(u32 *)(at + 4) = 36 + length;
	memcpy(at + 36, content, length);
	sum_up(at, 36 + length, at + 9);
	return at + ALIGN_UP(36 + length, 16);
}

/* A MADT with one good CPU, then an entry of length 0; its local APIC is at `local_apic`. */
static void make_madt(u32 local_apic)
{
	static u8 tables[PAGE] __aligned(16);
	struct {
		u32 local_apic, flags;
		u8 good[8], bad[8];
	} content = {local_apic, 1, {0, 8, 1, 0, 1}, {0, 0, 2, 1, 1}};
	u8 *xsdt = put_table(tables, "APIC", &content, sizeof(content));
	u8 *rsdp;

	put_table(xsdt, "XSDT", (u32[]){(u32)tables, 0}, 8);
	make_multiboot2();
	tags_size -= 8;
	put_tag(15, 8 + 36);
	rsdp = put("RSD PTR \0OEMID \2\0\0\0\0\44\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 36);
	*(u32 *)(rsdp + 24) = (u32)xsdt;
	sum_up(rsdp, 20, rsdp + 8);
	sum_up(rsdp, 36, rsdp + 32);
	end_again();
}

static void madt_broken(void)
{
	make_madt(0xfee00000);
}

static void apic_elsewhere(void)
{
	make_madt(0x3000000);
}

static const struct {
	const char *name;
	void (*make)(void);
} cases[] = {
	{"good1", good1},
	{"magic", magic},
	{"pointer", pointer},
	{"in-image", in_image},
	{"no-memory", no_memory},
	{"no-usable", no_usable},
	{"map-size", map_size},
	{"map-wraps", map_wraps},
	{"map-overlaps", map_overlaps},
	{"image-reserved", image_reserved},
	{"far-memory", far_memory},
	{"fragments", fragments},
	{"modules-absurd", modules_absurd},
	{"modules-bad", modules_bad},
	{"text-endless", text_endless},
	{"good2", good2},
	{"size-zero", size_zero},
	{"size-huge", size_huge},
	{"misaligned", misaligned},
	{"tag-zero", tag_zero},
	{"tag-long", tag_long},
	{"no-end", no_end},
	{"entry-size", entry_size},
	{"rsdp-broken", rsdp_broken},
	{"madt-broken", madt_broken},
	{"apic-elsewhere", apic_elsewhere},
};

/* --- Loading and starting the hypervisor --- */

struct elf32_header {
	u8 ident[16];
	u16 type, machine;
	u32 version, entry, phoff, shoff, flags;
	u16 ehsize, phentsize, phnum;
};

struct elf32_segment {
	u32 type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

static void load(const u8 *file)
{
	const struct elf32_header *elf = (const void *)file;
	const struct elf32_segment *segment = (const void *)(file + elf->phoff);

	if (*(const u32 *)file != 0x464c457f || elf->ident[4] != 1)
		give_up("badinfo: the first module is no ELF32\r\n");
	for (u16 i = 0; i < elf->phnum; i++, segment++) {
		if (segment->type != 1)
			continue;
		memcpy((void *)segment->paddr, file + segment->offset, segment->filesz);
		memset((void *)(segment->paddr + segment->filesz), 0xcc,
		       segment->memsz - segment->filesz);
	}
	start_with.entry = elf->entry;
}

/* Does the line hold "case=" and then this name as a word? */
static bool selects(const char *line, const char *name)
{
	for (; *line; line++) {
		const char *key = "case=", *at = line, *expected = name;

		while (*key && *key == *at)
			key++, at++;
		while (!*key && *expected && *expected == *at)
			expected++, at++;
		if (!*key && !*expected && (!*at || *at == ' '))
			return true;
	}
	return false;
}

/* The case that the command line selects. */
static void (*find_case(const char *line))(void)
{
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		if (selects(line, cases[i].name))
			return cases[i].make;
	}
	give_up("badinfo: no such case\r\n");
}

/* Hands one of the loader's modules on. */
static void pass_module(const struct module *module)
{
	modules[info.module_count++] = *module;
	info.modules = (u32)modules;
	info.flags |= 1 << 3;
}

/*
 * Keeps what the real loader said of memory and of the modules after the first; the map's entries
 * become ours, each 20 bytes long.
 */
static void copy_given(const struct mb1_info *given)
{
	const u8 *at = (const u8 *)given->map;

	info = *given;
	info.flags &= (1 << 0) | (1 << 6);
	info.flags |= 1 << 2;
	info.line = (u32) "log=info";
	info.module_count = 0;
	for (u32 i = 1; i < given->module_count && i < 3; i++)
		pass_module(&((const struct module *)given->modules)[i]);
	info.map = (u32)map;
	info.map_length = 0;
	while (at < (const u8 *)given->map + given->map_length) {
		const struct mb1_map_entry *entry = (const void *)at;

		add_map_entry(entry->start, entry->length, entry->type);
		at += entry->size + 4;
	}
}

void chain(u32 loader_magic, struct mb1_info *given)
{
	void (*make)(void);

	if (loader_magic != MB1_LOADER_MAGIC || !given->module_count)
		give_up("badinfo: start me by multiboot 1, with the hypervisor as a module\r\n");
	make = find_case((const char *)given->line);
	copy_given(given);
	start_with.magic = MB1_LOADER_MAGIC;
	start_with.information = (u32)&info;
	load((const u8 *)((const struct module *)given->modules)->start);
	make();
	__asm__ volatile("jmp *%2"
			 :
			 : "a"(start_with.magic), "b"(start_with.information), "r"(start_with.entry)
			 : "memory");
	__builtin_unreachable();
}
