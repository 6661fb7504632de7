/* SPDX-License-Identifier: Apache-2.0 */
/*
 * insn.c: reads and writes the local APIC's registers by the instructions that a compiler or an
 * assembler writes with a memory operand. Needs a board.
 *
 * The version register is constant; of ICR's upper half bits 24 to 31 read back what was written.
 */
#include <guest.h>

#define APIC	 0xfee00000ul
#define VERSION	 (APIC + 0x30)
#define TPR	 (APIC + 0x80)
#define ICR_HIGH (APIC + 0x310)

extern char guest_pd[]; /* start.S: 4 GiB by 2 MiB pages */

static u64 got, slot;

static void set_icr(u32 value)
{
	*(volatile u32 *)ICR_HIGH = value;
}

static u32 icr(void)
{
	return *(volatile u32 *)ICR_HIGH;
}

/* Reads the register at RSI into `got`. */
#define READ(name, text)                                                \
	static void name(void *version)                                 \
	{                                                               \
		asm volatile(text                                       \
			     : "=a"(got)                                \
			     : "S"(version), "D"(&slot), "a"(0), "d"(0) \
			     : "rcx", "rbx", "cc", "memory");           \
	}
/* Changes the register at RDI. */
#define WRITE(name, text)                                                       \
	static void name(void *reg)                                             \
	{                                                                       \
		asm volatile(text : : "D"(reg) : "rax", "rcx", "cc", "memory"); \
	}

READ(push, "pushq (%%rsi); popq %%rax")
READ(cmov, "xorl %%ecx, %%ecx; cmovzl (%%rsi), %%eax")
READ(mul, "movl $1, %%eax; mull (%%rsi)")
READ(imul, "imull $1, (%%rsi), %%eax")
READ(cmps, "movl (%%rsi), %%ecx; cmpsl; movl $0, %%eax; cmovzl %%ecx, %%eax")
READ(movs, "movsl; movl -4(%%rdi), %%eax")
READ(bsf, "bsfl (%%rsi), %%ecx; movl (%%rsi), %%eax")
READ(movd, "movd (%%rsi), %%xmm3; movd %%xmm3, %%eax")
READ(movdqu, "movdqu (%%rsi), %%xmm9; movd %%xmm9, %%eax")
READ(movhps, "movhps (%%rsi), %%xmm3; movhlps %%xmm3, %%xmm3; movd %%xmm3, %%eax")
READ(movlps, "movd %%esi, %%xmm3; movlhps %%xmm3, %%xmm3; movlps (%%rsi), %%xmm3;"
	     "movd %%xmm3, %%ecx; movhlps %%xmm3, %%xmm3; movd %%xmm3, %%eax;"
	     "cmpl %%esi, %%eax; movl $0, %%eax; cmovzl %%ecx, %%eax")
WRITE(movss, "movl $0x5a000000, %%ecx; movd %%ecx, %%xmm3; movss %%xmm3, (%%rdi)")
WRITE(movq, "movl $0x5a000000, %%ecx; movd %%ecx, %%xmm9; movq %%xmm9, (%%rdi)")
WRITE(pop, "pushq $0x5a000000; popq (%%rdi)")
WRITE(cmpxchg, "movl $0x11000000, %%eax; movl $0x5a000000, %%ecx; lock cmpxchgl %%ecx, (%%rdi)")
WRITE(xadd, "movl $0x49000000, %%ecx; lock xaddl %%ecx, (%%rdi)")
WRITE(movnti, "movl $0x5a000000, %%ecx; movnti %%ecx, (%%rdi)")
WRITE(bts, "movl $0x50000000, (%%rdi); movl $27, %%ecx; lock btsl %%ecx, (%%rdi);"
	   "movl $25, %%ecx; btsl %%ecx, (%%rdi)")
WRITE(shl, "movl $0x2d000000, (%%rdi); shll $1, (%%rdi)")

static const struct {
	const char *name;
	void (*run)(void *);
} reads[] = {{"PUSH", push},	 {"CMOVZ", cmov},    {"MUL", mul},	{"IMUL", imul},
	     {"CMPS", cmps},	 {"MOVS", movs},     {"BSF", bsf},	{"MOVD", movd},
	     {"MOVDQU", movdqu}, {"MOVHPS", movhps}, {"MOVLPS", movlps}},
  writes[] = {{"POP", pop}, {"CMPXCHG", cmpxchg}, {"XADD", xadd},   {"MOVNTI", movnti},
	      {"BTS", bts}, {"SHL", shl},	  {"MOVSS", movss}, {"MOVQ", movq}};

/* REP STOS with 32-bit addresses in 64-bit code: ECX counts, both registers are zero-extended. */
static void check_address_size(void)
{
	u64 rdi = 0x500000000ul + TPR, rcx = 0x100000002ul;

	asm volatile("addr32 rep stosl" : "+D"(rdi), "+c"(rcx) : "a"(0) : "memory");
	check(rcx == 0 && rdi == TPR + 8, "67h REP STOS counts by ECX");
	*(volatile u32 *)TPR = 0;
}

/* MOV of the version register into EAX, ECX or EDX; RET. */
enum { MOV = 0x8b, TO_EAX = 0x07, TO_ECX = 0x0f, TO_EDX = 0x17, RET = 0xc3 };
#define CODE  0x800000ul
#define OTHER 0xa00000ul /* another 2 MiB page */
#define LARGE 0xe7	 /* a page directory entry: present, writable, user, A, D, 2 MiB */

static void write_code(u64 address, u8 modrm)
{
	volatile u8 *code = (volatile u8 *)address;

	code[0] = MOV;
	code[1] = modrm;
	code[2] = RET;
}

static void map_code(u64 address)
{
	((volatile u64 *)guest_pd)[CODE >> 21] = address | LARGE;
	flush_page((void *)CODE);
}

/* The register that the code at CODE changes: 'a', 'c' or 'd'; it runs four times. */
static char destination(u32 version)
{
	u32 eax, ecx, edx;

	for (unsigned i = 0; i < 4; i++) {
		eax = ecx = edx = 0;
		asm volatile("call *%%rsi"
			     : "+a"(eax), "+c"(ecx), "+d"(edx)
			     : "D"(VERSION), "S"(CODE)
			     : "memory", "cc");
		if (eax + ecx + edx != version)
			return '?';
	}
	return eax ? 'a' : ecx ? 'c' : 'd';
}

/* hv remembers moves by their RIP (MEMO-1): what is rewritten, mapped or moved there is seen. */
static void check_remembered(u32 version)
{
	write_code(CODE, TO_EAX);
	check(destination(version) == 'a', "code reads a register of the APIC");
	write_code(CODE, TO_ECX);
	check(destination(version) == 'c', "the same place, rewritten");
	write_code(OTHER, TO_EDX);
	map_code(OTHER);
	check(destination(version) == 'd', "another page at this address");
	map_code(CODE);
	check(destination(version) == 'c', "the first one again");
	check(hypercall(HYPERCALL_OPERATE, CODE >> 12, 1, HYPERCALL_MIGRATE, 0) ==
		      HYPERCALL_PROGRESS(1, 1),
	      "the page gets another frame");
	write_code(CODE, TO_EDX);
	check(destination(version) == 'd', "and is rewritten there");
}

#define DATA	  0xc00000ul
#define PLAIN	  0x87 /* present, writable, user, 2 MiB: neither A nor D */
#define READ_ONLY 0x85
#define ACCESSED  BIT(5)
#define DIRTY	  BIT(6)
#define CR0_WP	  BIT(16)

static volatile u64 *map_data(u64 rights)
{
	volatile u64 *entry = &((volatile u64 *)guest_pd)[DATA >> 21];

	*entry = DATA | rights;
	flush_page((void *)DATA);
	return entry;
}

/* The CPU exits at the source, so the destination's tables are walked by hv. */
static void copy_to_data(void *unused)
{
	u64 from = VERSION, to = DATA;

	asm volatile("movsl" : "+S"(from), "+D"(to) : : "memory");
}

static void compare_with_data(void *unused)
{
	u64 from = VERSION, to = DATA;

	asm volatile("cmpsl" : "+S"(from), "+D"(to) : : "memory", "cc");
}

#define BELOW_APIC (APIC - 0x200000)
#define SPLIT	   (APIC - 12)

/* Twelve bytes of memory, then four of a reserved register: these read 0 and take anything. */
static void load_split(void *word)
{
	asm volatile("movdqu (%0), %%xmm3; movdqu %%xmm3, (%1)"
		     :
		     : "r"(SPLIT), "r"(word)
		     : "memory");
}

static void store_split(void *word)
{
	asm volatile("movdqu (%1), %%xmm3; movups %%xmm3, (%0)"
		     :
		     : "r"(SPLIT), "r"(word)
		     : "memory");
}

static void add_split(void *unused)
{
	asm volatile("addq %1, (%0)" : : "r"(APIC - 4), "r"(5ul << 32 | 3) : "memory", "cc");
}

static void check_two_pages(void)
{
	volatile u64 *entry = &((volatile u64 *)guest_pd)[BELOW_APIC >> 21], before = *entry;
	volatile u32 *memory = (volatile u32 *)(DATA + 0x200000 - 12);
	u32 word[4];

	map_data(PLAIN);
	*entry = DATA | PLAIN;
	flush_page((void *)SPLIT);
	for (unsigned i = 0; i < 3; i++)
		memory[i] = 0x1111 * (i + 1);
	check(catch_fault(load_split, word).vector == VECTOR_NONE && word[0] == 0x1111 &&
		      word[1] == 0x2222 && word[2] == 0x3333 && word[3] == 0,
	      "MOVDQU reads memory and a device");
	word[0] = word[1] = word[2] = word[3] = 0x5a5a5a5a;
	check(catch_fault(store_split, word).vector == VECTOR_NONE && memory[0] == 0x5a5a5a5a &&
		      memory[1] == 0x5a5a5a5a && memory[2] == 0x5a5a5a5a,
	      "MOVUPS writes both");
	check(catch_fault(add_split, NULL).vector == VECTOR_NONE && memory[2] == 0x5a5a5a5d,
	      "ADD changes both");
	*entry = before;
	flush_page((void *)SPLIT);
}

#define RFLAGS_TF BIT(8)

static u64 step_rip[8], step_rcx[8], steps;

static bool on_step(struct guest_frame *frame)
{
	if (frame->vector != 1)
		return false;
	if (steps < ARRAY_SIZE(step_rip)) {
		step_rip[steps] = frame->rip;
		step_rcx[steps] = frame->rcx;
	}
	if (++steps >= 3)
		frame->rflags &= ~RFLAGS_TF;
	return true;
}

/* A repeated instruction traps behind each iteration, on itself but for the last one. */
static void check_single_steps(void)
{
	u64 rdi = TPR, rcx = 3, at, behind;

	guest_on_exception = on_step;
	steps = 0;
	asm volatile("leaq 1f(%%rip), %[at]; leaq 2f(%%rip), %[behind];"
		     "pushfq; orl %[tf], (%%rsp); popfq;"
		     "1: rep stosb; 2: nop; nop; nop"
		     : "+D"(rdi), "+c"(rcx), [at] "=&r"(at), [behind] "=&r"(behind)
		     : "a"(0), [tf] "i"(RFLAGS_TF)
		     : "memory", "cc");
	guest_on_exception = NULL;
	check(steps == 3 && step_rip[0] == at && step_rip[1] == at && step_rip[2] == behind,
	      "REP STOS to a device traps behind each iteration: %lu", steps);
	check(step_rcx[0] == 2 && step_rcx[1] == 1 && step_rcx[2] == 0, "with its count");
}

#define CR4_MCE	  BIT(6)
#define CODE_64	  0x08ul
#define CODE_32	  0x38ul
#define CODE_FLAT 0x00cf9b000000ffffull

extern u64 guest_gdt[]; /* start.S: seven entries */

static u64 cr4(void)
{
	u64 value;

	asm volatile("movq %%cr4, %0" : "=r"(value));
	return value;
}

static void write_cr4_in_32_bits(void *value)
{
	asm volatile("leaq 2f(%%rip), %%rdi; leaq 1f(%%rip), %%rax;"
		     "pushq %[code]; pushq %%rax; lretq;"
		     ".code32; 1: movl %%ebx, %%cr4; pushl %%esi; pushl %%edi; lretl; .code64; 2:"
		     :
		     : "b"(value), "S"(CODE_64), [code] "i"(CODE_32)
		     : "rax", "rdi", "memory", "cc");
}

/* Compatibility mode keeps the upper half of a register, which is no part of the operand there. */
static void check_cr4(void)
{
	u64 gdt[8], before = cr4(), changed = before ^ CR4_MCE;
	struct __attribute__((packed)) {
		u16 limit;
		u64 base;
	} old, own = {sizeof(gdt) - 1, (u64)gdt};

	for (unsigned i = 0; i < 7; i++)
		gdt[i] = guest_gdt[i];
	gdt[CODE_32 / 8] = CODE_FLAT;
	asm volatile("sgdt %0" : "=m"(old));
	asm volatile("lgdt %0" : : "m"(own), "m"(gdt));
	check(catch_fault(write_cr4_in_32_bits, (void *)(changed | 0xabcdull << 32)).vector ==
			      VECTOR_NONE &&
		      cr4() == changed,
	      "MOV CR4 in compatibility mode takes 32 bits");
	asm volatile("movq %0, %%cr4" : : "r"(before));
	asm volatile("lgdt %0" : : "m"(old));
}

static void enable_sse(void)
{
	u64 cr0, cr4;

	asm volatile("movq %%cr0, %0" : "=r"(cr0));
	asm volatile("movq %0, %%cr0" : : "r"((cr0 & ~BIT(2)) | BIT(1)));
	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	asm volatile("movq %0, %%cr4" : : "r"(cr4 | BIT(9) | BIT(10)));
}

static void set_wp(bool on)
{
	u64 cr0;

	asm volatile("movq %%cr0, %0" : "=r"(cr0));
	asm volatile("movq %0, %%cr0" : : "r"(on ? cr0 | CR0_WP : cr0 & ~CR0_WP));
}

static void check_walk(u32 version)
{
	volatile u64 *entry = map_data(PLAIN);

	compare_with_data(NULL);
	check((*entry & (ACCESSED | DIRTY)) == ACCESSED, "a read by hv sets A");
	copy_to_data(NULL);
	check((*entry & (ACCESSED | DIRTY)) == (ACCESSED | DIRTY), "a write sets A and D");
	entry = map_data(READ_ONLY);
	check(catch_fault(copy_to_data, NULL).vector == VECTOR_PF && !(*entry & DIRTY),
	      "with CR0.WP a page without W is not written");
	set_wp(false);
	check(catch_fault(copy_to_data, NULL).vector == VECTOR_NONE && *entry & DIRTY,
	      "without it, it is");
	set_wp(true);
	map_data(PLAIN);
	check(*(volatile u32 *)DATA == version, "by the version of the APIC");
}

void guest_main(void)
{
	u32 version = *(volatile u32 *)VERSION;

	enable_sse();
	for (unsigned i = 0; i < ARRAY_SIZE(reads); i++) {
		slot = version;
		got = 0;
		check(catch_fault(reads[i].run, (void *)VERSION).vector == VECTOR_NONE &&
			      (u32)got == version,
		      "%s reads a device", reads[i].name);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
		set_icr(0x11000000);
		check(catch_fault(writes[i].run, (void *)ICR_HIGH).vector == VECTOR_NONE &&
			      icr() == 0x5a000000,
		      "%s writes one", writes[i].name);
	}
	check_address_size();
	check_remembered(version);
	check_walk(version);
	check_two_pages();
	check_single_steps();
	check_cr4();
}
