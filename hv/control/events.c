/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c: lines without a request, from which the results of a run are made.
 *
 * CPU 0 looks for what has happened (a VM that has ended, a sample that is due) between two turns;
 * no other CPU writes a line, so none waits for the channel. Long events come in parts: the walk
 * over the figures goes on in the next line.
 */
#include "hv/control/events.h"
#include <arch/boot_info.h>
#include <arch/cpu.h>
#include <ck_pr.h>
#include <hv/merging.h>
#include <hv/stat.h>
#include <hv/vm.h>
#include <lib/string.h>
#include <mm/addrspace.h>
#include <mm/notifier.h>
#include "hv/control/line.h"

/*
 * Of CPU 0.
 *
 * start	the part of `start` that is sent next
 * vms		VMs that it has named
 * ends		bitmap: of the VMs that have ended, those that were sent
 * interval	ticks between two samples, 0: none; due: of the next one
 * walking	figures taken at `time` are being sent; walked: those of the end are
 */
static struct {
	enum { START_FACTS, START_VMS, START_CONFIG, START_SENT } start;
	unsigned vms;
	u64 ends;
	u64 interval, due, time;
	bool walking, walked;
	struct stat_cursor cursor;
} events;

#define VMS_A_LINE 12

static char refused[BOOT_MODULES_MAX][VM_NAME_MAX];
static unsigned refused_count;

void control_vm_refused(const char *name)
{
	if (refused_count < BOOT_MODULES_MAX)
		string_copy(refused[refused_count++], VM_NAME_MAX, name);
}

void events_start(void)
{
	memset(&events, 0, sizeof(events));
	events.interval = arch_ticks_per_second() / 1000 * boot_option_number("sample");
	events.due = arch_ticks();
}

static struct json *event_line(struct json *json, const char *name)
{
	line_begin(json);
	json_add_string(json, "event", name);
	return json;
}

/* --- start ---------------------------------------------------------------------------------- */

static void add_vm(struct json *json, const struct vm *vm)
{
	static const char *const types[] = {
		[VM_MULTIBOOT] = "multiboot",
		[VM_REAL] = "real",
		[VM_LINUX] = "linux",
		[VM_BIOS] = "bios",
	};

	json_key(json, vm->config.name);
	json_open(json, '{');
	json_add_u64(json, "memory", vm->config.memory);
	json_add_u64(json, "vcpus", vm->config.vcpus);
	json_add_string(json, "type", types[vm->config.type]);
	json_add_u64(json, "merge", merging_domain(vm));
	json_close(json, '}');
}

static void add_refused(struct json *json)
{
	json_key(json, "refused");
	json_open(json, '[');
	for (unsigned i = 0; i < refused_count; i++)
		json_string(json, refused[i]);
	json_close(json, ']');
}

/* Of the first VM; the command line sets them for all. */
static void add_policy(struct json *json)
{
	const struct vm *vm = vm_get(0);
	struct notifier_policy policy;
	char text[POLICY_TEXT_MAX];

	if (!vm)
		return;
	policy = addrspace_policy(vm->memory);
	notifier_policy_text(&policy, text, sizeof(text));
	json_add_string(json, "policy", text);
	json_add_string(json, "retry",
			addrspace_retry(vm->memory) == RETRY_INPLACE ? "inplace" : "reenter");
}

static void send_facts(void)
{
	struct json json;

	event_line(&json, "start");
	json_add_u64(&json, "version", CONTROL_VERSION);
	add_policy(&json);
	json_add_string(&json, "engine", merging_engine_name());
	json_add_u64(&json, "cpus", arch_cpu_count());
	add_refused(&json);
	json_add_bool(&json, "more", true);
	line_send(&json);
}

static void send_vms(void)
{
	const struct vm *vm;
	struct json json;

	event_line(&json, "start");
	json_key(&json, "vms");
	json_open(&json, '{');
	for (unsigned i = 0; i < VMS_A_LINE && (vm = vm_get(events.vms)); i++, events.vms++)
		add_vm(&json, vm);
	json_close(&json, '}');
	json_add_bool(&json, "more", true);
	line_send(&json);
}

/* A text that does not fit is left out. */
static void add_option(struct json *json, const struct boot_option_view *view)
{
	struct json_mark mark = json_mark(json);

	if (view->text)
		json_add_string(json, view->name, view->text);
	else
		json_add_u64(json, view->name, view->number);
	if (json->cut)
		json_rewind(json, mark);
}

/* The words of the command line in force; the last part of the event. */
static void send_config(void)
{
	struct boot_option_view view;
	struct json json;

	event_line(&json, "start");
	json_key(&json, "config");
	json_open(&json, '{');
	json.size -= LINE_TAIL;
	for (unsigned i = 0; boot_option_view(i, &view); i++)
		add_option(&json, &view);
	json.size += LINE_TAIL;
	json_close(&json, '}');
	line_send(&json);
}

static void send_start(void)
{
	switch (events.start) {
	case START_FACTS:
		send_facts();
		events.start = START_VMS;
		break;
	case START_VMS:
		send_vms();
		if (!vm_get(events.vms))
			events.start = START_CONFIG;
		break;
	default:
		send_config();
		events.start = START_SENT;
	}
}

/* --- vm-end --------------------------------------------------------------------------------- */

static const char *end_word(enum vm_end end)
{
	static const char *const words[VM_ENDS] = {
		[VM_END_SHUTDOWN] = "shutdown",
		[VM_END_HALTED] = "halted",
		[VM_END_REBOOT] = "reboot",
		[VM_END_TRIPLE_FAULT] = "triple_fault",
		[VM_END_NO_MEMORY] = "no_memory",
		[VM_END_UNHANDLED] = "stopped",
		[VM_END_ENTRY_FAILED] = "entry_failed",
		[VM_END_KILLED] = "killed",
	};

	return words[end];
}

static bool end_is_good(const struct vm *vm)
{
	const u32 bad = BIT(VM_END_TRIPLE_FAULT) | BIT(VM_END_NO_MEMORY) | BIT(VM_END_UNHANDLED) |
			BIT(VM_END_ENTRY_FAILED);

	return !(bad & BIT(vm->end)) && (vm->end != VM_END_SHUTDOWN || !vm->status);
}

static void send_vm_end(const struct vm *vm)
{
	struct json json;

	event_line(&json, "vm-end");
	json_add_string(&json, "vm", vm->config.name);
	json_add_string(&json, "end", end_word(vm->end));
	if (vm->end == VM_END_SHUTDOWN)
		json_add_u64(&json, "status", vm->status);
	json_add_bool(&json, "good", end_is_good(vm));
	json_add_u64(&json, "t_ns", stat_ns(arch_ticks()));
	line_send(&json);
}

/* VMs end in any order. */
static const struct vm *next_end(void)
{
	const struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		if (events.ends & BIT(i) || ck_pr_load_uint(&vm->state) != VM_ENDED)
			continue;
		events.ends |= BIT(i);
		return vm;
	}
	return NULL;
}

/* --- sample, end ---------------------------------------------------------------------------- */

static void begin_walk(void)
{
	events.walking = true;
	events.time = stat_ns(arch_ticks());
	stat_begin(&events.cursor, NULL, 0);
}

/* A part of the figures, as event `name`; `last`: the part with which they end says so. */
static void send_figures(const char *name, bool last)
{
	enum stat_progress progress;
	struct json json;
	size_t empty;

	event_line(&json, name);
	json_add_u64(&json, "t_ns", events.time);
	json_key(&json, "stats");
	json_open(&json, '{');
	empty = json.len;
	json.size -= LINE_TAIL;
	progress = stat_write(&events.cursor, &json);
	json.size += LINE_TAIL;
	events.walking = progress != STAT_DONE;
	if (progress == STAT_LATER && json.len == empty)
		return;
	json_close(&json, '}');
	if (events.walking || !last)
		json_add_bool(&json, "more", true);
	line_send(&json);
}

bool events_step(u64 now)
{
	const struct vm *vm;

	if (events.start != START_SENT) {
		send_start();
	} else if (events.walking) {
		send_figures("sample", true);
	} else if ((vm = next_end())) {
		send_vm_end(vm);
	} else if (events.interval && now >= events.due) {
		events.due = MAX(events.due + events.interval, now);
		begin_walk();
	} else {
		return false;
	}
	return true;
}

bool events_end_figures(void)
{
	const struct vm *vm = next_end();

	if (vm) {
		send_vm_end(vm);
		return true;
	}
	if (!events.walked)
		begin_walk();
	events.walked = true;
	if (events.walking)
		send_figures("end", false);
	return events.walking;
}

void events_end(const struct control_verdict *verdict)
{
	struct json json;

	event_line(&json, "end");
	json_add_bool(&json, "good", verdict->good);
	json_add_u64(&json, "t_ns", stat_ns(arch_ticks()));
	json_key(&json, "audit");
	json_open(&json, '{');
	json_add_u64(&json, "faults", verdict->faults);
	json_add_u64(&json, "pages", verdict->audit.pages);
	json_add_u64(&json, "translations", verdict->audit.translations);
	json_add_u64(&json, "frames", verdict->audit.frames);
	json_close(&json, '}');
	json_add_s64(&json, "frames_missing", verdict->frames_missing);
	json_add_u64(&json, "lines_dropped", stat_channel.dropped);
	line_send(&json);
}
