/* SPDX-License-Identifier: Apache-2.0 */
/*
 * display.c: the VGA's text on the console. display.h says how.
 *
 * Invariants:
 * DISPLAY-1  the screen as it is at the end of the VM has been shown: a row that was there for less
 *            than a poll may be missing, the last ones are not.
 *
 * Locking: `screen` belongs to the CPU that owns vCPU 0 while the VM is held, and to the CPU that
 * destroys the VM later. The registers are read under pc->lock, the rows printed under
 * console.lock, never both.
 */
#include <hv/display.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/pc.h>
#include <hv/vm.h>

#define POLLS_PER_SECOND 10
#define TEXT_BYTES	 (VGA_CELLS * sizeof(u16))

/*
 * Of each CPU: does it show a VM's text, and then the tick of its next look. While it shows none it
 * looks at the VMs' flags at every turn, and sets no alarm.
 */
static struct {
	bool shows;
	u64 next;
} of_cpu[CONFIG_MAX_CPUS];

void display_note_access(struct vm *vm)
{
	if (vm->pc)
		ck_pr_store_32(&vm->text_used, 1);
}

LOCK_UNCHECKED static void show_row(void *console, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		console_put(console, text[i]);
	console_put(console, '\n');
}

/* The buffer wraps at its end, as the start address does in text mode. */
static int read_cells(struct vm *vm, unsigned start, u16 cells[VGA_CELLS])
{
	u64 size = VGA_TEXT_END - VGA_TEXT_START, at = start * sizeof(u16) % size;
	u64 first = MIN(TEXT_BYTES, size - at);
	int err = addrspace_read(vm->memory, (struct gpa){VGA_TEXT_START + at}, cells, first);

	if (err || first == TEXT_BYTES)
		return err;
	return addrspace_read(vm->memory, (struct gpa){VGA_TEXT_START}, (u8 *)cells + first,
			      TEXT_BYTES - first);
}

static void show_changes(struct vm *vm, bool all)
{
	struct pc *pc = vm->pc;
	u16 cells[VGA_CELLS];
	unsigned start, cursor;

	spin_lock(&pc->lock);
	start = vga_start(&pc->vga);
	cursor = vga_cursor(&pc->vga) - start;
	spin_unlock(&pc->lock);
	if (read_cells(vm, start, cells) != 0)
		return; /* no frame now: another time */
	spin_lock(&vm->console.lock);
	screen_update(&pc->screen, cells, all ? VGA_ROWS : cursor / VGA_COLUMNS, show_row,
		      &vm->console);
	spin_unlock(&vm->console.lock);
}

void display_finish(struct vm *vm)
{
	if (ck_pr_load_32(&vm->text_used))
		show_changes(vm, true);
}

/* A VM that is held keeps its board and its vCPUs. */
static bool show_vm(struct vm *vm, unsigned cpu)
{
	bool mine;

	if (likely(!ck_pr_load_32(&vm->text_used)) || !vm_hold(vm))
		return false;
	mine = vm->vcpu[0]->cpu == cpu;
	if (mine)
		show_changes(vm, false);
	vm_release(vm);
	return mine;
}

bool display_poll(bool idle)
{
	unsigned cpu = arch_cpu_id();
	u64 now = arch_ticks();
	struct vm *vm;

	if (of_cpu[cpu].shows && now < of_cpu[cpu].next)
		return false;
	of_cpu[cpu].shows = false;
	of_cpu[cpu].next = now + arch_ticks_per_second() / POLLS_PER_SECOND;
	for (unsigned i = 0; (vm = vm_get(i)); i++)
		of_cpu[cpu].shows |= show_vm(vm, cpu);
	return false;
}

u64 display_alarm(void)
{
	unsigned cpu = arch_cpu_id();

	return of_cpu[cpu].shows ? of_cpu[cpu].next : TICK_NEVER;
}
