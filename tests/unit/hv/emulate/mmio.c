/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmio.c: the decoder and mmio_compute() against this CPU (MMIO-1).
 *
 * Every opcode of the three maps, with every member of a group and the prefixes that change it, is
 * carried out twice on the same operands: by the CPU, with RDI at a variable in memory, and by
 * decoder and arithmetic. Operands are random bits, or the values at which carries and signs
 * change. Flags and results that the manual calls undefined are not compared.
 */
#include <hv/mmio.h>
#include <cpuid.h>
#include <sys/mman.h>
#include "hv/emulate/private.h"
#include "sim/sim.h"

#define CF	     0x001ull
#define PF	     0x004ull
#define AF	     0x010ull
#define ZF	     0x040ull
#define SF	     0x080ull
#define OF	     0x800ull
#define STATUS_FLAGS 0x8d5ull
#define FLAGS_BASE   0x202ull
#define TRIES	     60

/* What the CPU starts with and ends with; `cpu_code` ends with a jump to cpu_back. */
u64 cpu_gpr[16], cpu_flags, cpu_rsp;
void *cpu_code;
void cpu_run(void);
extern char cpu_back[];

/* clang-format off */
#define EACH_REGISTER(X)                                                                      \
	X(0, rax) X(1, rcx) X(2, rdx) X(3, rbx) X(5, rbp) X(6, rsi) X(7, rdi) X(8, r8)        \
	X(9, r9) X(10, r10) X(11, r11) X(12, r12) X(13, r13) X(14, r14) X(15, r15) X(4, rsp)
/* clang-format on */
#define LOAD(n, reg)  "mov cpu_gpr+8*" #n "(%rip), %" #reg "\n"
#define STORE(n, reg) "mov %" #reg ", cpu_gpr+8*" #n "(%rip)\n"
__asm__(".text\n.globl cpu_run\ncpu_run:\n"
	"push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"mov %rsp, cpu_rsp(%rip)\npushq cpu_flags(%rip)\npopfq\n" EACH_REGISTER(
		LOAD) "jmp *cpu_code(%rip)\n"
		      ".globl cpu_back\ncpu_back:\n" EACH_REGISTER(
			      STORE) "mov cpu_rsp(%rip), %rsp\npushfq\npopq cpu_flags(%rip)\n"
				     "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop "
				     "%rbx\nret\n");

static struct sim_random dice;
static u8 *page;

/* Random bits, or next to a power of two, where carries and signs change. */
static u64 operand(void)
{
	u64 edge = BIT(sim_below(&dice, 64));

	switch (sim_below(&dice, 5)) {
	case 0:
		return edge - 1;
	case 1:
		return -edge;
	case 2:
		return edge;
	default:
		return sim_random(&dice);
	}
}

static bool is_bit_test(const struct insn *insn)
{
	return insn->op >= INSN_BT && insn->op <= INSN_BTC;
}

static unsigned shift_count(const struct insn *insn)
{
	return (insn->by_cl ? cpu_gpr[GPR_RCX] : insn->value) & (insn->size == 8 ? 63 : 31);
}

static u64 undefined_by_shift(const struct insn *insn)
{
	unsigned count = shift_count(insn), width = 8 * insn->size;
	bool rotates = insn->op <= INSN_RCR;

	if (count == 0)
		return 0;
	return (count == 1 ? 0 : OF) | (rotates ? 0 : AF) | (!rotates && count >= width ? CF : 0);
}

/* The status flags that the manual leaves undefined. */
static u64 undefined_flags(const struct insn *insn)
{
	switch (insn->op) {
	case INSN_OR:
	case INSN_AND:
	case INSN_XOR:
	case INSN_TEST:
		return AF;
	case INSN_MUL:
	case INSN_IMUL_A:
	case INSN_IMUL:
		return SF | ZF | AF | PF;
	case INSN_DIV:
	case INSN_IDIV:
		return STATUS_FLAGS;
	case INSN_BT ... INSN_BTC:
		return OF | SF | AF | PF;
	case INSN_BSF:
	case INSN_BSR:
		return STATUS_FLAGS & ~ZF;
	case INSN_TZCNT:
	case INSN_LZCNT:
		return OF | SF | AF | PF;
	case INSN_ROL ... INSN_SHRD:
		return undefined_by_shift(insn);
	default:
		return 0;
	}
}

/* A bit of ECX of a CPUID leaf. */
static bool cpu_has(unsigned leaf, unsigned bit)
{
	unsigned a, b, c, d;

	return __get_cpuid(leaf, &a, &b, &c, &d) && c >> bit & 1;
}

/* Does the CPU have it, and is the result defined on these operands? */
static bool is_defined(const struct insn *insn, u64 memory)
{
	switch (insn->op) {
	case INSN_MOVBE:
		return cpu_has(1, 22);
	case INSN_TZCNT:
		return __builtin_cpu_supports("bmi");
	case INSN_LZCNT:
		return cpu_has(0x80000001, 5);
	case INSN_POPCNT:
		return cpu_has(1, 23);
	case INSN_BSF:
	case INSN_BSR:
		return (memory & size_mask(insn->size)) != 0;
	case INSN_SHLD:
	case INSN_SHRD:
		return shift_count(insn) <= 8u * insn->size;
	default:
		return true;
	}
}

static void choose_operands(const struct insn *insn, u64 *memory)
{
	for (unsigned i = 0; i < 16; i++)
		cpu_gpr[i] = operand();
	cpu_flags = FLAGS_BASE | (sim_random(&dice) & STATUS_FLAGS);
	*memory = operand();
	cpu_gpr[GPR_RDI] = (u64)memory;
	if (is_bit_test(insn) && !insn->immediate)
		cpu_gpr[insn->reg] = sim_below(&dice, 8 * insn->size);
	if (insn->by_cl && sim_below(&dice, 2))
		cpu_gpr[GPR_RCX] = sim_below(&dice, 4);
	if ((insn->op == INSN_CMPXCHG || insn->op == INSN_CMPXCHG8B) && sim_below(&dice, 2)) {
		cpu_gpr[GPR_RAX] = *memory;
		cpu_gpr[GPR_RDX] = *memory >> 32;
	}
	if ((insn->op == INSN_DIV || insn->op == INSN_IDIV) && sim_below(&dice, 2))
		cpu_gpr[GPR_RDX] = insn->op == INSN_IDIV && cpu_gpr[GPR_RAX] >> 63 ? ~0ull : 0;
}

static void run_on_cpu(const u8 *bytes, unsigned length)
{
	const u64 back = (u64)cpu_back;

	memcpy(page, bytes, length);
	memcpy(page + length, "\xff\x25\0\0\0", 6); /* jmp *0(%rip) */
	memcpy(page + length + 6, &back, sizeof(back));
	cpu_code = page;
	cpu_run();
}

static void fail_with(const char *what, const u8 *bytes, unsigned length, u64 is, u64 cpu)
{
	char text[3 * INSN_MAX + 1] = "";

	for (unsigned i = 0; i < length; i++)
		snprintf(text + 3 * i, 4, "%02x ", bytes[i]);
	fail_msg("%s: %s is %lx, the CPU's %lx", text, what, is, cpu);
}

static void compare_once(const struct insn *insn, const u8 *bytes)
{
	u64 memory, before, gpr[16], value, flags, undefined;
	enum mmio_result result;

	choose_operands(insn, &memory);
	if (!is_defined(insn, memory))
		return;
	undefined = undefined_flags(insn);
	memcpy(gpr, cpu_gpr, sizeof(gpr));
	before = memory;
	flags = cpu_flags;
	value = memory & size_mask(insn->size);
	result = mmio_compute(insn, gpr, &value, &flags);
	if (result == MMIO_DIVIDE_ERROR)
		return; /* the CPU would end the test */
	if (result == MMIO_WRITES)
		before = (before & ~size_mask(insn->size)) | (value & size_mask(insn->size));
	run_on_cpu(bytes, insn->length);
	if (memory != before)
		fail_with("memory", bytes, insn->length, before, memory);
	for (unsigned i = 0; i < 16; i++) {
		if (gpr[i] != cpu_gpr[i])
			fail_with("a register", bytes, insn->length, gpr[i], cpu_gpr[i]);
	}
	if ((flags ^ cpu_flags) & ~undefined)
		fail_with("RFLAGS", bytes, insn->length, flags, cpu_flags);
}

/* Not by [RDI] alone: XLAT, and what has an address of its own. */
static bool has_other_operands(const struct insn *insn, const u8 *opcode)
{
	return insn_is_string(insn) || insn->op == INSN_PUSH || insn->op == INSN_POP ||
	       insn->op == INSN_MOV_XMM || (opcode[0] >= 0xa0 && opcode[0] <= 0xa3) ||
	       opcode[0] == 0xd7 || (is_bit_test(insn) && !insn->immediate && insn->reg == GPR_RDI);
}

/*
 * Carries out the instruction of these prefixes, opcode and member; returns whether it is decoded.
 */
static bool compare(const char *prefixes, const u8 *opcode, unsigned count, unsigned member)
{
	unsigned at = (unsigned)strlen(prefixes), length = at + count + 1 + 8;
	u8 bytes[INSN_MAX + 8];
	struct insn insn;

	memcpy(bytes, prefixes, at);
	memcpy(bytes + at, opcode, count);
	bytes[at + count] = (u8)(member << 3 | GPR_RDI);
	for (unsigned i = at + count + 1; i < length; i++)
		bytes[i] = (u8)sim_random(&dice);
	if (insn_decode(bytes, MIN(length, INSN_MAX), INSN_64, &insn) != 0)
		return false;
	for (unsigned n = 0; n < TRIES && !has_other_operands(&insn, opcode); n++)
		compare_once(&insn, bytes);
	return true;
}

static unsigned compare_opcode(const u8 *opcode, unsigned count)
{
	static const char *const prefixes[] = {"",	   "\x66", "\x40",     "\x44",
					       "\x48",	   "\x4c", "\xf0",     "\xf3",
					       "\x66\x44", "\xf2", "\xf3\x48", "\xf0\x48"};
	unsigned decoded = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(prefixes); i++) {
		for (unsigned member = 0; member < 8; member++)
			decoded += compare(prefixes[i], opcode, count, member);
	}
	return decoded;
}

/* A byte that another opcode follows. */
static bool is_prefix(u8 byte)
{
	return byte == 0x0f || (byte & 0xe7) == 0x26 || (byte & 0xf0) == 0x40 ||
	       (byte & 0xfc) == 0x64 || byte == 0xf0 || byte == 0xf2 || byte == 0xf3;
}

static void results_and_flags_are_those_of_the_cpu(void **state)
{
	unsigned opcodes = 0;

	dice = sim_random_start(1);
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(page != MAP_FAILED);
	for (unsigned byte = 0; byte < 256; byte++) {
		if (!is_prefix((u8)byte))
			opcodes += compare_opcode((const u8[]){(u8)byte}, 1) != 0;
		if (byte != 0x38)
			opcodes += compare_opcode((const u8[]){0x0f, (u8)byte}, 2) != 0;
		opcodes += compare_opcode((const u8[]){0x0f, 0x38, (u8)byte}, 3) != 0;
	}
	assert_in_range(opcodes, 130, 300);
	munmap(page, PAGE_SIZE);
}

static struct insn decoded(enum insn_mode mode, const u8 *bytes, unsigned count)
{
	struct insn insn;

	assert_int_equal(insn_decode(bytes, count, mode, &insn), 0);
	return insn;
}
#define DECODED(mode, ...) \
	decoded(mode, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

static void division_that_overflows_is_an_error_and_changes_nothing(void **state)
{
	const struct insn div = DECODED(INSN_64, 0xf7, 0x37), idiv = DECODED(INSN_64, 0xf7, 0x3f);
	u64 gpr[16] = {[GPR_RAX] = 5, [GPR_RDX] = 7}, flags = FLAGS_BASE, memory = 0;

	assert_int_equal(mmio_compute(&div, gpr, &memory, &flags), MMIO_DIVIDE_ERROR);
	memory = 7;
	assert_int_equal(mmio_compute(&div, gpr, &memory, &flags), MMIO_DIVIDE_ERROR);
	gpr[GPR_RDX] = 0x40000000;
	memory = 0x7fffffff;
	assert_int_equal(mmio_compute(&idiv, gpr, &memory, &flags), MMIO_DIVIDE_ERROR);
	gpr[GPR_RDX] = 0xffffffff;
	gpr[GPR_RAX] = 0x80000000;
	memory = 0xffffffff;
	assert_int_equal(mmio_compute(&idiv, gpr, &memory, &flags), MMIO_DIVIDE_ERROR);
	assert_int_equal(gpr[GPR_RAX], 0x80000000);
	memory = 1;
	assert_int_equal(mmio_compute(&idiv, gpr, &memory, &flags), MMIO_READS);
	assert_int_equal(gpr[GPR_RAX], 0x80000000);
	assert_int_equal(gpr[GPR_RDX], 0);
}

static void an_instruction_that_is_left_out_has_a_name(void **state)
{
	assert_string_equal(insn_unsupported((const u8[]){0xdd, 0x07}, 2, INSN_64), "x87");
	assert_string_equal(insn_unsupported((const u8[]){0x0f, 0x6f, 0x07}, 3, INSN_64),
			    "a move of an MMX register");
	assert_string_equal(insn_unsupported((const u8[]){0x66, 0x0f, 0xfe, 0x07}, 4, INSN_64),
			    "SSE or MMX arithmetic");
	assert_string_equal(insn_unsupported((const u8[]){0xff, 0x17}, 2, INSN_64),
			    "CALL or JMP by memory");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(results_and_flags_are_those_of_the_cpu),
		cmocka_unit_test(division_that_overflows_is_an_error_and_changes_nothing),
		cmocka_unit_test(an_instruction_that_is_left_out_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
