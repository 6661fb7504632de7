/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vms.c: commands about VMs: vms, vm NAME pause|resume|kill|dump, page VM GFN.
 */
#include "hv/control/commands.h"
#include <ck_pr.h>
#include <hv/park.h>
#include <hv/virtio.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/format.h>
#include <lib/string.h>
#include <mm/inspect.h>
#include <mm/merge.h>

struct vm *command_vm(struct command_call *call, const char *name)
{
	struct vm *vm = vm_find(name);

	if (!vm)
		command_fail(call, "%.24s: no such VM; vms lists them", name);
	else if (!vm_hold(vm))
		command_fail(call, "%.24s does not run", name);
	else
		call->vm = vm;
	return call->vm;
}

bool command_number(struct command_call *call, unsigned at, u64 *out)
{
	const char *word = call->word[at];

	if (string_to_u64(word, strlen(word), out) == 0)
		return true;
	command_fail(call, "%.32s: not a number", word);
	return false;
}

static const char *state_word(const struct vm *vm)
{
	static const char *const words[] = {
		[VM_CREATED] = "created", [VM_RUNNING] = "runs",
		[VM_STOPPING] = "stops",  [VM_DEAD] = "dead",
		[VM_ENDED] = "ended",	  [VM_DESTROYING] = "is being destroyed",
	};
	unsigned state = ck_pr_load_uint(&vm->state);

	return state == VM_RUNNING && ck_pr_load_32(&vm->paused) ? "paused" : words[state];
}

static void add_vm(struct json *json, const struct vm *vm)
{
	bool over = ck_pr_load_uint(&vm->state) >= VM_STOPPING;

	json_key(json, vm->config.name);
	json_open(json, '{');
	json_add_string(json, "state", state_word(vm));
	json_add_u64(json, "memory", vm->config.memory);
	json_add_u64(json, "vcpus", vm->config.vcpus);
	if (over)
		json_add_string(json, "end", vm_end_name(vm->end));
	json_close(json, '}');
}

enum command_step step_vms(struct command_call *call)
{
	const struct vm *vm;

	for (; (vm = vm_get((unsigned)call->at)); call->at++) {
		struct json_mark mark = json_mark(call->json);

		add_vm(call->json, vm);
		if (call->json->cut) {
			json_rewind(call->json, mark);
			return COMMAND_MORE;
		}
	}
	return COMMAND_DONE;
}

/* --- vm NAME dump: a vCPU a step, read by its owner ------------------------------------------ */

static void add_hex(struct json *json, const char *name, u64 value)
{
	char text[24];

	format_text(text, sizeof(text), "0x%lx", value);
	json_add_string(json, name, text);
}

static void add_registers(struct json *json, const struct vcpu_look *look)
{
	static const char *const names[GPRS] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
						"rsi", "rdi", "r8",  "r9",  "r10", "r11",
						"r12", "r13", "r14", "r15"};
	const struct guest_state *state = &look->state;

	add_hex(json, "rip", state->rip);
	add_hex(json, "rflags", state->rflags);
	add_hex(json, "cr0", state->cr0);
	add_hex(json, "cr2", state->cr2);
	add_hex(json, "cr3", state->cr3);
	add_hex(json, "cr4", state->cr4);
	add_hex(json, "efer", state->efer);
	for (unsigned i = 0; i < GPRS; i++)
		add_hex(json, names[i], look->gpr[i]);
	add_hex(json, "cs", state->seg[SEG_CS].selector);
	add_hex(json, "ss", state->seg[SEG_SS].selector);
}

static void add_vcpu(struct json *json, const struct vcpu *vcpu, const struct vcpu_look *look)
{
	static const char *const states[] = {[VCPU_OFF] = "off",
					     [VCPU_READY] = "ready",
					     [VCPU_HALTED] = "halted",
					     [VCPU_GONE] = "gone"};
	char name[8];

	format_text(name, sizeof(name), "%u", vcpu->index);
	json_key(json, name);
	json_open(json, '{');
	json_add_string(json, "state", states[ck_pr_load_32(&vcpu->state)]);
	json_add_u64(json, "cpu", vcpu->cpu);
	if (look)
		add_registers(json, look);
	json_close(json, '}');
}

static bool has_registers(const struct vcpu *vcpu)
{
	u32 state = ck_pr_load_32(&vcpu->state);

	return state == VCPU_READY || state == VCPU_HALTED;
}

/* at: two steps a vCPU, the request and its answer. */
static enum command_step dump(struct command_call *call)
{
	struct vcpu *vcpu = call->vm->vcpu[call->at / 2];
	bool looks = has_registers(vcpu);
	struct vcpu_look look;

	if (looks && call->at % 2 == 0) {
		vcpu_look_begin(vcpu);
		call->at++;
		return COMMAND_LATER;
	}
	if (looks && !vcpu_look_done(&look))
		return COMMAND_LATER;
	vcpu_look_end();
	add_vcpu(call->json, vcpu, looks ? &look : NULL);
	call->at = (call->at / 2 + 1) * 2;
	return call->at / 2 < call->vm->config.vcpus ? COMMAND_MORE : COMMAND_DONE;
}

enum command_step step_vm(struct command_call *call)
{
	const char *verb = call->word[1];

	if (!call->vm && !command_vm(call, call->word[0]))
		return COMMAND_FAILED;
	if (!strcmp(verb, "dump"))
		return dump(call);
	if (!strcmp(verb, "pause"))
		vm_pause(call->vm);
	else if (!strcmp(verb, "resume"))
		vm_resume(call->vm);
	else if (!strcmp(verb, "kill"))
		vm_stop(call->vm, VM_END_KILLED, 0);
	else
		return command_fail(call, "%.16s: it is pause, resume, kill or dump", verb);
	add_vm(call->json, call->vm);
	return COMMAND_DONE;
}

/* --- balloon VM [PAGES] ----------------------------------------------------------------------- */

static void add_balloon(struct json *json, const struct virtio_balloon_look *look)
{
	static const char *const names[VIRTIO_BALLOON_STATS] = {
		"swap_in", "swap_out",	"major_faults", "minor_faults",	  "free",
		"total",   "available", "caches",	"huge_allocated", "huge_failed"};

	json_add_u64(json, "target", look->target);
	json_add_u64(json, "actual", look->actual);
	json_add_u64(json, "inflated", look->inflated);
	json_add_u64(json, "reported", look->reported);
	for (unsigned i = 0; i < VIRTIO_BALLOON_STATS; i++) {
		if (look->seen & BIT(i))
			json_add_u64(json, names[i], look->stat[i]);
	}
}

enum command_step step_balloon(struct command_call *call)
{
	struct virtio_balloon_look look;
	u64 pages = 0;
	int err = 0;

	if (!command_vm(call, call->word[0]))
		return COMMAND_FAILED;
	if (call->words == 2 && !command_number(call, 1, &pages))
		return COMMAND_FAILED;
	if (call->words == 2)
		err = virtio_balloon_set(call->vm, pages);
	if (!err)
		err = virtio_balloon_look(call->vm, &look);
	if (err)
		return command_fail(call, "balloon: %.24s: %s", call->word[0],
				    err == ERR_RANGE ? "more pages than its memory"
						     : "it has no balloon");
	add_balloon(call->json, &look);
	return COMMAND_DONE;
}

/* --- page VM GFN ------------------------------------------------------------------------------ */

struct holders {
	struct json *json;
	struct gfn gfn;
	unsigned count;
};

static int add_holder(struct subscription *sub, void *argument)
{
	struct holders *holders = argument;
	struct held_page page;
	char name[32];

	if (!sub->ops->holds || !sub->ops->holds(sub, holders->gfn, &page))
		return 0;
	format_text(name, sizeof(name), "%s.%u", sub->ops->name, holders->count++);
	json_key(holders->json, name);
	json_open(holders->json, '{');
	json_add_u64(holders->json, "frame", page.mfn.raw);
	json_add_u64(holders->json, "level", page.level);
	format_text(name, sizeof(name), "%s%s%s", page.rights & PT_READ ? "r" : "",
		    page.rights & PT_WRITE ? "w" : "", page.rights & PT_EXEC ? "x" : "");
	json_add_string(holders->json, "rights", name);
	json_close(holders->json, '}');
	return 0;
}

static void add_page(struct json *json, const struct page_view *page)
{
	json_add_string(json, "state", page->state);
	if (page->has_frame) {
		json_add_u64(json, "frame", page->mfn.raw);
		json_add_u64(json, "sharers", page->users);
	}
	json_add_bool(json, "writable", page->writable);
	json_add_bool(json, "write_protected", page->write_protected);
	json_add_bool(json, "soft_dirty", page->soft_dirty);
	json_add_bool(json, "accessed", page->young);
	json_add_bool(json, "pinned", page->pinned);
	json_add_bool(json, "changing", page->busy);
}

enum command_step step_page(struct command_call *call)
{
	struct holders holders = {.json = call->json};
	struct page_view page;
	struct addrspace *as;

	if (!command_vm(call, call->word[0]) || !command_number(call, 1, &holders.gfn.raw))
		return COMMAND_FAILED;
	as = call->vm->memory;
	if (inspect_page(as, holders.gfn, &page) != 0)
		return command_fail(call, "page %.20s: in no slot of the VM", call->word[1]);
	add_page(call->json, &page);
	json_add_string(call->json, "merge", merge_reason_name(merge_reason(as, holders.gfn)));
	json_key(call->json, "holders");
	json_open(call->json, '{');
	notifier_each(addrspace_notifier(as), add_holder, &holders);
	json_close(call->json, '}');
	return COMMAND_DONE;
}
