/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virt.c: the contract of include/arch/virt.h, held against the back end of this machine.
 *
 * Why in the image: guests under hv try most of it, but not what hv has no use for yet (views, the
 * dirty log, NMIs) nor what it must never see (states no CPU takes). So one vCPU is run here by
 * hand, on 4 MiB of memory and second-level tables made with nothing but the format's functions. It
 * names no vendor: VMX and SVM have to give the same answers.
 *
 *     guest memory   0x1000 code   0x2000 IDT   0x4000 page tables   0x8000 stack   0x9000 NMIs
 *                    0x20000 the page that views disagree about      0x100000 pages to write
 */
#define LOG_THIS LOG_TEST

#include <arch/cpu.h>
#include <arch/virt.h>
#include <asm/regs.h>
#include <lib/error.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/frame.h>
#include "tests/selftest/selftest.h"

#define CODE	    0x1000
#define IDT	    0x2000
#define TABLES	    0x4000
#define STACK	    0x8000
#define NMIS	    0x9000
#define PAGE_TRIED  0x20000
#define PAE_TABLES  0x30000
#define PAGES_START 0x100000
#define PAGES	    600
#define ORDER	    10 /* 4 MiB */
#define LARGE	    0x83
#define STATES	    4000

extern const u8 selftest_guest[], selftest_guest_read[], selftest_guest_write[],
	selftest_guest_nmi[], selftest_guest_halt[], selftest_guest_pae[], selftest_guest_end[];

/* HLT hands back to the test with all registers as they are. */
asm(".pushsection .rodata\n"
    "selftest_guest:		jmp selftest_guest\n"
    "selftest_guest_read:	mov (%rdi), %rbx; hlt; jmp selftest_guest_read\n"
    "selftest_guest_write:	mov %rdi, (%rdi); add $0x1000, %rdi; dec %rcx; jnz "
    "selftest_guest_write\n"
    "selftest_guest_halt:	hlt; jmp selftest_guest_halt\n"
    "selftest_guest_nmi:	incq 0x9000; hlt; iretq\n"
    ".code32\n"
    "selftest_guest_pae:\n"
    "	mov %esi, %cr3; mov $0x20, %eax; mov %eax, %cr4; mov $0x80000031, %eax; mov %eax, %cr0\n"
    "	mov 0x40020000, %ebx; hlt\n"
    "	mov 0x40020000, %ebx; hlt\n"
    "	mov %edi, %cr3; mov 0x40020000, %ebx; hlt\n"
    "	mov $0x31, %eax; mov %eax, %cr0; mov 0x20000, %ebx; hlt\n"
    ".code64\n"
    "selftest_guest_end:	.popsection\n");

/* leaf[i] maps gpa i << 12; of 4 KiB all. */
struct view {
	struct hpa root;
	pte_t *leaf[2];
};

static struct arch_vcpu vcpu;
static struct hv_exit exit;
static struct view view_a, view_b;
static u8 *memory;
static struct mfn other;
static unsigned passed, failed;

static void expect(bool good, const char *what)
{
	good ? passed++ : failed++;
	if (!good)
		log_error("not ok - %s (exit %u, raw %lx)", what, exit.reason, exit.raw.reason);
}

static struct mfn take(unsigned order)
{
	struct mfn mfn;

	CHECK(frame_alloc(order, FRAME_HYPERVISOR, FRAME_ZERO, &mfn) == 0);
	return mfn;
}

static pte_t *new_table(struct hpa *where)
{
	*where = mfn_to_hpa(take(0));
	return arch_hpa_to_virt(*where);
}

static pte_t *leaf_of(struct view *view, u64 gpa)
{
	return &view->leaf[gpa >> 21][gpa >> 12 & 511];
}

static void make_view(struct view *view, struct mfn first)
{
	struct hpa level[4];
	pte_t *table = new_table(&view->root);

	for (unsigned i = 3; i > 1; i--) {
		pte_t *next = new_table(&level[i - 1]);

		table[0] = virt->stage2->make_table(level[i - 1], i);
		table = next;
	}
	for (unsigned i = 0; i < 2; i++) {
		view->leaf[i] = new_table(&level[0]);
		table[i] = virt->stage2->make_table(level[0], 1);
	}
	for (u64 i = 0; i < 1024; i++)
		*leaf_of(view, i << 12) =
			virt->stage2->make_leaf(mfn_to_hpa(mfn_add(first, i)), 0, PT_RWX);
}

static void map_tried(struct view *view, struct mfn mfn, unsigned attr)
{
	*leaf_of(view, PAGE_TRIED) = attr ? virt->stage2->make_leaf(mfn_to_hpa(mfn), 0, attr) : 0;
	virt->flush_stage2(&vcpu);
}

static u64 guest_address(const u8 *symbol)
{
	return CODE + (u64)(symbol - selftest_guest);
}

static void fill_memory(void)
{
	u64 *tables = (u64 *)(memory + TABLES), nmi = guest_address(selftest_guest_nmi);
	u64 *gate = (u64 *)(memory + IDT) + 2 * VECTOR_NMI;

	memcpy(memory + CODE, selftest_guest, (size_t)(selftest_guest_end - selftest_guest));
	tables[0] = (TABLES + 0x1000) | 3;
	tables[512] = (TABLES + 0x2000) | 3;
	tables[1024] = LARGE;
	tables[1025] = 0x200000 | LARGE;
	gate[0] = (nmi & 0xffff) | 8ull << 16 | 0x8e00ull << 32;
	*(u64 *)(memory + PAGE_TRIED) = 1;
	*(u64 *)arch_hpa_to_virt(mfn_to_hpa(other)) = 2;
}

/*
 * Long mode at `entry`, interrupts off. IRETQ needs the GDT only for CS and SS, which it reloads.
 */
static void start_at(const u8 *entry, struct guest_state *s)
{
	static const u64 gdt[3] = {0, 0x00209b0000000000, 0x00cf93000000ffff};

	memcpy(memory + 0x3000, gdt, sizeof(gdt));
	virt->get_state(&vcpu, s);
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s->seg[i] = (struct guest_segment_state){16, 0xffffffff, 0xc093, 0};
	s->seg[SEG_CS] = (struct guest_segment_state){8, 0xffffffff, 0xa09b, 0};
	s->seg[SEG_TR] = (struct guest_segment_state){0, 0x67, 0x8b, 0};
	s->gdtr.base = 0x3000;
	s->gdtr.limit = sizeof(gdt) - 1;
	s->idtr.base = IDT;
	s->idtr.limit = 0xfff;
	s->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	s->cr3 = TABLES;
	s->cr4 = CR4_PAE;
	s->efer = EFER_LME | EFER_LMA;
	s->rflags = RFLAGS_R1;
	s->rip = guest_address(entry);
	vcpu.gpr[GPR_RSP] = STACK;
	expect(virt->set_state(&vcpu, s) == 0, "a state in long mode is taken");
}

/* The guest's code, for a back end that has to look at it: it lies at its own address. */
static unsigned fetch(struct arch_vcpu *of, struct gva linear, void *bytes, unsigned len)
{
	if (linear.raw + len > PAGES_START)
		return 0;
	memcpy(bytes, memory + linear.raw, len);
	return len;
}

/* As hv does it; the test's guests write control registers with what they may have. */
static void carry_out_cr_write(void)
{
	u64 value;

	if (virt->complete_exit)
		virt->complete_exit(&vcpu, &exit);
	value = exit.cr.has_value ? exit.cr.value : vcpu.gpr[exit.cr.gpr];
	expect(exit.cr.write && virt->write_cr(&vcpu, exit.cr.cr, value) == 0,
	       "a control register is written");
	virt->skip_insn(&vcpu, &exit);
}

/* Until something other than a host interrupt or a control register happens. */
static enum hv_exit_reason run(void)
{
	for (;;) {
		virt->run(&vcpu, arch_ticks() + arch_ticks_per_second(), &exit);
		if (exit.reason == HV_EXIT_CR)
			carry_out_cr_write();
		else if (exit.reason != HV_EXIT_INTERRUPT)
			return exit.reason;
	}
}

static bool runs_to_halt(void)
{
	bool halted = run() == HV_EXIT_HLT;

	if (halted)
		virt->skip_insn(&vcpu, &exit);
	return halted;
}

/* With zeroes between the members, to be compared as a whole. */
static void get_clean(struct guest_state *s)
{
	memset(s, 0, sizeof(*s));
	virt->get_state(&vcpu, s);
}

static bool refused(struct guest_state s, u64 *field, u64 bits, const struct guest_state *base)
{
	*(u64 *)((char *)&s + ((char *)field - (char *)base)) ^= bits;
	return virt->set_state(&vcpu, &s) == ERR_INVALID;
}

static void test_state(void)
{
	struct guest_state s, again;

	start_at(selftest_guest_halt, &again);
	get_clean(&s);
	expect(s.cr3 == TABLES && virt->set_state(&vcpu, &s) == 0, "a state is set");
	get_clean(&again);
	expect(!memcmp(&s, &again, sizeof(s)), "and read back as it was set");
	expect(refused(s, &s.cr0, 1ull << 32, &s), "CR0 with a high bit is refused");
	expect(refused(s, &s.cr0, CR0_PE, &s), "paging without protection is refused");
	expect(refused(s, &s.cr4, CR4_PAE, &s), "long mode without PAE is refused");
	expect(refused(s, &s.cr4, CR4_VMXE, &s), "CR4.VMXE is refused");
	expect(refused(s, &s.efer, EFER_SVME, &s), "EFER.SVME is refused");
	expect(refused(s, &s.rip, 1ull << 62, &s), "RIP that is not canonical is refused");
	expect(refused(s, &s.rflags, RFLAGS_R1, &s), "RFLAGS without bit 1 is refused");
	expect(refused(s, &s.lstar, 1ull << 62, &s), "LSTAR that is not canonical is refused");
	expect(refused(s, &s.pat, 8, &s), "a reserved memory type is refused");
	get_clean(&again);
	expect(!memcmp(&s, &again, sizeof(s)), "a refused state changes nothing");
	expect(runs_to_halt() && virt->cpl(&vcpu) == 0, "and the guest runs in ring 0");
}

static void test_deadline(void)
{
	struct guest_state s;
	u64 length = arch_ticks_per_second() / 1000, deadline;

	start_at(selftest_guest, &s);
	deadline = arch_ticks() + length;
	do
		virt->run(&vcpu, deadline, &exit);
	while (exit.reason == HV_EXIT_INTERRUPT);
	expect(exit.reason == HV_EXIT_TIMESLICE, "an endless loop ends with its slice");
	expect(arch_ticks() >= deadline, "and not before");
	virt->run(&vcpu, deadline, &exit);
	expect(exit.reason == HV_EXIT_TIMESLICE, "a deadline that is over lets nothing run");
}

static u64 reads(void)
{
	return runs_to_halt() ? vcpu.gpr[GPR_RBX] : 0;
}

static void test_views(struct mfn first)
{
	struct mfn own = mfn_add(first, PAGE_TRIED >> 12);
	struct guest_state s;

	start_at(selftest_guest_read, &s);
	vcpu.gpr[GPR_RDI] = PAGE_TRIED;
	expect(reads() == 1, "view A shows its frame");
	virt->set_stage2(&vcpu, view_b.root);
	expect(reads() == 2, "view B shows another one at the same address");
	virt->set_stage2(&vcpu, view_a.root);
	expect(reads() == 1, "and A its own again");
	map_tried(&view_a, other, PT_RWX);
	expect(reads() == 2, "a changed entry is seen after a flush");
	map_tried(&view_a, own, 0);
	expect(run() == HV_EXIT_STAGE2 && exit.stage2.gpa.raw == PAGE_TRIED &&
		       exit.stage2.access == HV_READ,
	       "an absent entry faults with its address");
	map_tried(&view_a, own, PT_READ | PT_EXEC);
	expect(reads() == 1, "the read is done again once there is an entry");
}

static void test_write_fault(struct mfn first)
{
	struct guest_state s;

	start_at(selftest_guest_write, &s);
	vcpu.gpr[GPR_RDI] = PAGE_TRIED;
	vcpu.gpr[GPR_RCX] = 1;
	expect(run() == HV_EXIT_STAGE2 && (exit.stage2.access & HV_WRITE) &&
		       exit.stage2.gpa.raw == PAGE_TRIED && !exit.stage2.table_walk,
	       "a write to a read-only page faults");
	map_tried(&view_a, mfn_add(first, PAGE_TRIED >> 12), PT_RWX);
	expect(runs_to_halt() && *(u64 *)(memory + PAGE_TRIED) == PAGE_TRIED,
	       "and is done once the page is writable");
}

static void test_nmi(void)
{
	struct guest_event nmi = {.type = GUEST_EVENT_NMI, .vector = VECTOR_NMI};
	volatile u64 *taken = (u64 *)(memory + NMIS);
	struct guest_state s;

	start_at(selftest_guest_halt, &s);
	expect(virt->can_inject(&vcpu, GUEST_EVENT_NMI), "an NMI can come");
	virt->inject(&vcpu, &nmi);
	expect(!virt->can_inject(&vcpu, GUEST_EVENT_NMI), "one at a time");
	expect(runs_to_halt() && *taken == 1, "the NMI's handler runs");
	expect(!virt->can_inject(&vcpu, GUEST_EVENT_NMI), "and blocks the next one");
	virt->set_nmi_window(&vcpu, true);
	expect(run() == HV_EXIT_NMI_WINDOW, "until it returns");
	expect(virt->can_inject(&vcpu, GUEST_EVENT_NMI), "then another one can come");
	expect(runs_to_halt() && *taken == 1, "and the guest goes on where it was");
}

/* Each page that was written, once; the CPU also logs its own writes to the guest's page tables. */
static unsigned drain(u8 *seen)
{
	struct gpa gpas[100];
	unsigned n, fresh = 0;

	while ((n = virt->pml_drain(&vcpu, gpas, ARRAY_SIZE(gpas))) > 0)
		for (unsigned i = 0; i < n; i++) {
			u64 page = (gpas[i].raw - PAGES_START) >> 12;

			expect(!page_offset(gpas[i].raw), "a logged address is a page's");
			if (page < PAGES)
				fresh += !seen[page]++;
		}
	return fresh;
}

static void test_dirty_log(void)
{
	static u8 seen[PAGES];
	struct guest_state s;
	unsigned logged;

	if (!virt->pml_enable || virt->pml_enable(&vcpu, true) != 0) {
		log_info("selftest: virt: no dirty log in hardware");
		return;
	}
	start_at(selftest_guest_write, &s);
	vcpu.gpr[GPR_RDI] = PAGES_START;
	vcpu.gpr[GPR_RCX] = PAGES;
	expect(run() == HV_EXIT_PML_FULL, "the log fills up");
	logged = drain(seen);
	expect(logged > 500 && logged <= 512, "it holds what was written");
	expect(runs_to_halt(), "the guest goes on");
	logged += drain(seen);
	expect(logged == PAGES, "each page is in the log");
	expect(virt->pml_enable(&vcpu, false) == 0, "the log is switched off");
}

/* Two PDPTs of which only the second maps 1 GiB to where there is 2 at PAGE_TRIED. */
static void fill_pae_tables(void)
{
	u64 *pdpt = (u64 *)(memory + PAE_TABLES);

	for (unsigned i = 0; i < 2; i++) {
		u64 *directory = pdpt + 512 * (2 + i);

		pdpt[512 * i] = (PAE_TABLES + 0x3000) | 1;
		pdpt[512 * i + 1] = (PAE_TABLES + 0x2000 + 0x2000 * i) | 1;
		directory[i ? 512 : 0] = (i ? 0x200000 : 0) | LARGE;
	}
	pdpt[512 * 3] = LARGE;
	*(u64 *)(memory + PAGE_TRIED) = 1;
	*(u64 *)(memory + 0x200000 + PAGE_TRIED) = 2;
}

/* PDPTEs come from memory with MOV to CR3 and CR0, and stay where they are when nothing changes. */
static void test_pae(void)
{
	struct guest_state s;

	fill_pae_tables();
	start_at(selftest_guest_pae, &s);
	s.cr0 = CR0_PE | CR0_ET | CR0_NE;
	s.cr3 = s.cr4 = s.efer = 0;
	s.seg[SEG_CS].attr = 0xc09b;
	expect(virt->set_state(&vcpu, &s) == 0, "a state in protected mode is taken");
	vcpu.gpr[GPR_RSI] = PAE_TABLES;
	vcpu.gpr[GPR_RDI] = PAE_TABLES + 0x1000;
	expect(reads() == 1, "the guest turns PAE paging on by itself");
	virt->get_state(&vcpu, &s);
	expect(s.cr4 == CR4_PAE && (s.cr0 & CR0_PG) && virt->set_state(&vcpu, &s) == 0,
	       "its state is taken back as it is");
	expect(reads() == 1, "and translates as before");
	expect(reads() == 2, "another CR3 brings other PDPTEs");
	expect(reads() == 1, "and paging goes off again");
}

/* From long mode, 32-bit protected mode and real mode. */
static void test_broken_states(void)
{
	struct guest_state s;

	start_at(selftest_guest_halt, &s);
	expect(selftest_states(&vcpu, &s, STATES), "a long-mode state that is taken is entered");
	s.cr0 = CR0_PE | CR0_ET | CR0_NE;
	s.cr3 = s.cr4 = s.efer = 0;
	s.seg[SEG_CS].attr = 0xc09b;
	expect(selftest_states(&vcpu, &s, STATES), "so is one in protected mode");
	s.cr0 = CR0_ET;
	for (unsigned i = SEG_ES; i <= SEG_GS; i++)
		s.seg[i] = (struct guest_segment_state){0, 0xffff, i == SEG_CS ? 0x9b : 0x93, 0};
	expect(selftest_states(&vcpu, &s, STATES), "and one in real mode");
}

/* Last, because it ends the vCPU. */
static void test_shutdown(void)
{
	struct guest_event gp = {GUEST_EVENT_EXCEPTION, VECTOR_GP, true, 0, 0};
	struct guest_state s;

	start_at(selftest_guest_halt, &s);
	s.idtr.limit = 0;
	expect(virt->set_state(&vcpu, &s) == 0, "an empty IDT is taken");
	virt->inject(&vcpu, &gp);
	expect(run() == HV_EXIT_SHUTDOWN,
	       "an exception that cannot be delivered is a triple fault");
	start_at(selftest_guest_halt, &s);
	for (unsigned i = 0; i < 3; i++)
		virt->inject(&vcpu, &gp);
	expect(run() == HV_EXIT_SHUTDOWN, "#GP, then #DF, then a shutdown");
}

/*
 * VMX-2: a vCPU with the tags of one that is gone (its VPID, its ASID) and other tables, of which
 * nothing was flushed.
 */
static void test_successor(struct vcpu_setup *setup)
{
	struct guest_state s;

	for (unsigned i = 0; i < 4; i++) {
		setup->stage2_root = i % 2 ? view_b.root : view_a.root;
		CHECK(virt->vcpu_init(&vcpu, setup) == 0);
		virt->vcpu_load(&vcpu);
		start_at(selftest_guest_read, &s);
		vcpu.gpr[GPR_RDI] = PAGE_TRIED;
		expect(reads() == 1 + i % 2, "a new vCPU reads by its own tables");
		virt->vcpu_put(&vcpu);
		virt->vcpu_fini(&vcpu);
	}
}

void selftest_virt(void)
{
	struct vcpu_setup setup = {.address_space_id = 1, .fetch = fetch};
	struct mfn first;

	CHECK(arch_virt_init() == 0);
	first = take(ORDER);
	other = take(0);
	memory = arch_hpa_to_virt(mfn_to_hpa(first));
	make_view(&view_a, first);
	make_view(&view_b, first);
	*leaf_of(&view_b, PAGE_TRIED) = virt->stage2->make_leaf(mfn_to_hpa(other), 0, PT_RWX);
	fill_memory();
	setup.stage2_root = view_a.root;
	CHECK(virt->vcpu_init(&vcpu, &setup) == 0);
	virt->vcpu_load(&vcpu);
	test_state();
	test_deadline();
	test_views(first);
	test_write_fault(first);
	test_nmi();
	test_pae();
	test_dirty_log();
	test_broken_states();
	fill_memory();
	test_shutdown();
	virt->vcpu_put(&vcpu);
	virt->vcpu_fini(&vcpu);
	fill_memory();
	test_successor(&setup);
	virt->cpu_disable();
	log_info("selftest: virt: %u passed, %u failed", passed, failed);
	CHECK(failed == 0);
}
