/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.c: commands about memory: policy, merge, reclaim, audit.
 *
 * What takes long goes in steps: unmerging takes 512 pages at a time, as a guest's own advice does.
 */
#include "hv/control/commands.h"
#include <hv/merging.h>
#include <hv/park.h>
#include <hv/vm.h>
#include <lib/error.h>
#include <lib/string.h>
#include <mm/audit.h>
#include <mm/inspect.h>
#include <mm/merge.h>
#include <mm/reclaim.h>

/* --- policy [NAME [AXIS=VALUE ...] [reenter|inplace] [as_read|as_write]] --------------------- */

static const char *const retry_words[] = {
	[RETRY_REENTER] = "reenter",
	[RETRY_INPLACE] = "inplace",
};
static const char *const read_words[] = {
	[READ_AS_READ] = "as_read",
	[READ_AS_WRITE] = "as_write",
};

/* The modes of faults; NULL: it stays. */
struct fault_modes {
	const char *retry, *read;
};

static void set_modes(struct addrspace *as, const struct fault_modes *modes)
{
	if (modes->retry)
		addrspace_set_retry(as, strcmp(modes->retry, "inplace") ? RETRY_REENTER
									: RETRY_INPLACE);
	if (modes->read)
		addrspace_set_read(as,
				   strcmp(modes->read, "as_write") ? READ_AS_READ : READ_AS_WRITE);
}

/* For all VMs that run; waits for notifications under way. */
static int set_policies(const struct notifier_policy *policy, const struct fault_modes *modes)
{
	struct vm *vm;
	int err = 0;

	for (unsigned i = 0; !err && (vm = vm_get(i)); i++) {
		if (!vm_hold(vm))
			continue;
		err = addrspace_set_policy(vm->memory, policy);
		set_modes(vm->memory, modes);
		vm_release(vm);
	}
	return err;
}

static void list_policies(struct json *json)
{
	json_key(json, "policies");
	json_open(json, '[');
	for (unsigned i = 0; i < notifier_policy_count(); i++)
		json_string(json, notifier_policy_name(notifier_policy(i)));
	json_close(json, ']');
}

/* The words that each axis has. */
static void list_axes(struct json *json)
{
	const char *word;

	json_key(json, "axes");
	json_open(json, '{');
	for (unsigned axis = 0; axis < POLICY_AXES; axis++) {
		json_key(json, policy_axis_name(axis));
		json_open(json, '[');
		for (unsigned i = 0; (word = policy_axis_word(axis, i)); i++)
			json_string(json, word);
		json_close(json, ']');
	}
	json_close(json, '}');
}

static void add_policy(struct json *json, struct addrspace *as)
{
	const struct notifier_policy policy = addrspace_policy(as);
	char text[POLICY_TEXT_MAX];

	notifier_policy_text(&policy, text, sizeof(text));
	json_add_string(json, "policy", text);
	for (unsigned axis = 0; axis < POLICY_AXES; axis++)
		json_add_string(json, policy_axis_name(axis),
				policy_axis_word(axis, policy_axis_value(&policy, axis)));
}

static void show_policy(struct json *json)
{
	struct vm *vm = vm_get(0);

	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		if (!vm_hold(vm))
			continue;
		add_policy(json, vm->memory);
		json_add_string(json, "retry", retry_words[addrspace_retry(vm->memory)]);
		json_add_string(json, "read", read_words[addrspace_read_mode(vm->memory)]);
		vm_release(vm);
		break;
	}
	list_policies(json);
	list_axes(json);
}

static bool read_mode_word(const char *word, struct fault_modes *modes)
{
	for (unsigned i = 0; i < ARRAY_SIZE(retry_words); i++) {
		if (!strcmp(word, retry_words[i]))
			modes->retry = word;
		else if (!strcmp(word, read_words[i]))
			modes->read = word;
	}
	return modes->retry == word || modes->read == word;
}

/* The words behind the name: axes, and the modes of faults. */
static enum command_step read_axes(struct command_call *call, struct notifier_policy *policy,
				   struct fault_modes *modes)
{
	const char *why;

	for (unsigned i = 1; i < call->words; i++) {
		const char *word = call->word[i], *equal = memchr(word, '=', strlen(word));

		if (read_mode_word(word, modes))
			continue;
		if (!equal || notifier_policy_set(policy, word, (size_t)(equal - word), equal + 1))
			return command_fail(call, "%.32s: no AXIS=VALUE and no mode", word);
	}
	why = notifier_policy_refusal(policy);
	return why ? command_fail(call, "refused: %.110s", why) : COMMAND_DONE;
}

enum command_step step_policy(struct command_call *call)
{
	const char *name = call->words ? call->word[0] : "";
	const struct notifier_policy *named = notifier_policy_find(name, strlen(name));
	struct fault_modes modes = {.retry = NULL};
	struct notifier_policy policy;
	int err;

	if (call->words && !named)
		return command_fail(call, "%.24s: no such policy", name);
	if (named) {
		policy = *named;
		if (read_axes(call, &policy, &modes) == COMMAND_FAILED)
			return COMMAND_FAILED;
		err = set_policies(&policy, &modes);
		if (err)
			return command_fail(call, "policy: %s", error_name(err));
	}
	show_policy(call->json);
	return COMMAND_DONE;
}

/* --- merge ------------------------------------------------------------------------------------ */

static void show_merging(struct json *json)
{
	json_add_string(json, "engine", merging_engine_name());
	json_add_bool(json, "secure", merging_is_secure());
	json_add_u64(json, "pace_ms", merging_pace());
	json_add_u64(json, "passes", merge_passes());
	json_add_u64(json, "quiet_passes", merge_quiet_passes());
	json_add_bool(json, "settled", merge_quiet_passes() >= MERGE_SETTLED);
}

static enum command_step merge_engine(struct command_call *call, const char *name)
{
	int err = merging_set_engine(name);

	if (err == ERR_NOT_FOUND)
		return command_fail(call, "%.24s: no such engine", name);
	if (err)
		return command_fail(call, "merge engine: %s", error_name(err));
	show_merging(call->json);
	return COMMAND_DONE;
}

static enum command_step merge_pace(struct command_call *call)
{
	u64 ms;

	if (!command_number(call, 1, &ms))
		return COMMAND_FAILED;
	if (ms > MERGING_PACE_MAX)
		return command_fail(call, "merge pace: up to %u ms", MERGING_PACE_MAX);
	merging_set_pace(ms);
	show_merging(call->json);
	return COMMAND_DONE;
}

#define VM_SHIFT 40 /* of a VM's number; a gfn below it */

/* The VM's next pages from gfn on, up to a multiple of 512. False: none of it is left. */
static bool advise_vm(struct vm *vm, struct gfn *gfn, enum merge_advice advice, int *err)
{
	struct gfn_range range;
	u64 done = 0;

	if (!merge_region_at(vm->memory, *gfn, &range))
		return false;
	range.start.raw = MAX(range.start.raw, gfn->raw);
	range.end.raw = MIN(range.end.raw, ALIGN_DOWN(range.start.raw, 512ull) + 512);
	*err = merge_advise(vm->memory, range, advice, &done);
	if (*err != ERR_BUSY)
		*gfn = range.end;
	return true;
}

/* A step of advice for all VMs; `at`: a VM's number and a gfn. False: that was the last. */
static bool advise_step(u64 *at, enum merge_advice advice, int *err)
{
	struct vm *vm = vm_get((unsigned)(*at >> VM_SHIFT));
	struct gfn gfn = {*at & BITS(VM_SHIFT - 1, 0)};
	bool more;

	if (!vm)
		return false;
	more = vm_hold(vm);
	if (more) {
		more = advise_vm(vm, &gfn, advice, err);
		vm_release(vm);
	}
	*at = more ? (*at & ~BITS(VM_SHIFT - 1, 0)) | gfn.raw : ((*at >> VM_SHIFT) + 1) << VM_SHIFT;
	return true;
}

static enum command_step merge_advise_all(struct command_call *call, enum merge_advice advice)
{
	int err = 0;
	bool more = advise_step(&call->at, advice, &err);

	if (err && err != ERR_BUSY)
		return command_fail(call, "merge: %s; some pages are private by now",
				    error_name(err));
	if (more)
		return COMMAND_LATER;
	merging_hurry();
	show_merging(call->json);
	return COMMAND_DONE;
}

/* First all pages become private; then the regions are made anew, in the other mode. */
static enum command_step merge_secure(struct command_call *call)
{
	bool secure = !strcmp(call->word[1], "yes");
	int err = 0;

	if (!secure && strcmp(call->word[1], "no"))
		return command_fail(call, "merge secure: yes or no");
	if (advise_step(&call->at, MERGE_ADVICE_UNMERGEABLE, &err) && (!err || err == ERR_BUSY))
		return COMMAND_LATER;
	if (!err)
		err = merging_set_secure(secure);
	if (err)
		return command_fail(call, "merge secure: %s; the mode is as before",
				    error_name(err));
	show_merging(call->json);
	return COMMAND_DONE;
}

enum command_step step_merge(struct command_call *call)
{
	const char *verb = call->words ? call->word[0] : "";

	if (!merging_is_on())
		return command_fail(call, "merging is off (merge=off)");
	if (!*verb) {
		show_merging(call->json);
		return COMMAND_DONE;
	}
	if (!strcmp(verb, "unmerge"))
		return merge_advise_all(call, MERGE_ADVICE_UNMERGEABLE);
	if (!strcmp(verb, "remerge"))
		return merge_advise_all(call, MERGE_ADVICE_MERGEABLE);
	if (call->words < 2)
		return command_fail(call, "usage: merge [engine NAME | pace MS | secure yes|no | "
					  "unmerge | remerge]");
	if (!strcmp(verb, "engine"))
		return merge_engine(call, call->word[1]);
	if (!strcmp(verb, "pace"))
		return merge_pace(call);
	if (!strcmp(verb, "secure"))
		return merge_secure(call);
	return command_fail(call, "merge %.16s: help merge has its words", verb);
}

/* --- reclaim VM PAGES ------------------------------------------------------------------------ */

#define RECLAIM_STEP 64 /* pages */

/* at: pages so far; the hand goes round once, so steps without a page end it. */
enum command_step step_reclaim(struct command_call *call)
{
	u64 pages, done;

	if (!command_number(call, 1, &pages) || (!call->vm && !command_vm(call, call->word[0])))
		return COMMAND_FAILED;
	done = call->at < pages
		       ? reclaim_cold(call->vm->memory, MIN(pages - call->at, (u64)RECLAIM_STEP))
		       : 0;
	call->at += done;
	call->idle = done ? 0 : call->idle + 1;
	if (call->at < pages &&
	    call->idle <= call->vm->config.memory / PAGE_SIZE / RECLAIM_LOOKS * 2 + 2)
		return COMMAND_LATER;
	json_add_u64(call->json, "reclaimed", call->at);
	return COMMAND_DONE;
}

/* --- audit ----------------------------------------------------------------------------------- */

static void show_audit(struct json *json, const struct audit_report *report)
{
	json_add_u64(json, "faults", report->total);
	json_add_u64(json, "spaces", report->spaces);
	json_add_u64(json, "pages", report->pages);
	json_add_u64(json, "translations", report->translations);
	json_add_u64(json, "frames", report->frames);
	for (unsigned i = 0; i < AUDIT_FAULTS; i++)
		if (report->found[i])
			json_add_u64(json, audit_fault_name(i), report->found[i]);
}

/* All CPUs wait meanwhile. Stable frames hold a reference each. */
enum command_step step_audit(struct command_call *call)
{
	struct audit_report report;
	struct merge_stats merge;

	if (!call->at++) {
		park_begin();
		call->parked = true;
	}
	if (!park_is_complete())
		return COMMAND_LATER;
	merge_stats(&merge);
	audit_run(merge.pages_shared, &report);
	show_audit(call->json, &report);
	return COMMAND_DONE;
}
