/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: the parser of a boot module's command line.
 *
 * The line comes from a boot loader, so nothing in it is trusted. Words are a const table: a key
 * and the function that checks its value and stores it.
 *
 * Invariants:
 * CONFIG-1  whatever the line, parsing ends, reads nothing past its NUL and writes only *out.
 * CONFIG-2  a config that is returned has a name, a size of whole pages, 1 to VM_VCPUS_MAX vCPUs
 *           and only CPUs that the machine has.
 */
#include <hv/config.h>
#include <arch/addr.h>
#include <abi/machine.h>
#include <hv/pc.h>
#include <lib/error.h>
#include <lib/string.h>

/* The value of the word at hand, and what the machine has. */
struct value {
	const char *text;
	size_t len;
	unsigned cpus;
};

static bool name_is_good(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return len > 0 && len < VM_NAME_MAX;
}

static int store_name(struct value *value, char *to)
{
	if (!name_is_good(value->text, value->len))
		return ERR_INVALID;
	memcpy(to, value->text, value->len);
	to[value->len] = '\0';
	return 0;
}

static int set_name(struct value *value, struct vm_config *out)
{
	return store_name(value, out->name);
}

static int set_module_of(struct value *value, struct vm_config *out)
{
	return store_name(value, out->module_of);
}

static int set_image(struct value *value, struct vm_config *out)
{
	return store_name(value, out->image);
}

static int set_disk(struct value *value, struct vm_config *out)
{
	if (out->disks == VM_DISKS_MAX)
		return ERR_RANGE;
	return store_name(value, out->disk[out->disks++]);
}

static int set_pmem(struct value *value, struct vm_config *out)
{
	return store_name(value, out->pmem);
}

static int set_disk_hints(struct value *value, struct vm_config *out)
{
	if (string_is(value->text, value->len, "off"))
		out->disk_hints = VM_HINTS_OFF;
	else if (string_is(value->text, value->len, "scan"))
		out->disk_hints = VM_HINTS_SCAN;
	else if (string_is(value->text, value->len, "known"))
		out->disk_hints = VM_HINTS_KNOWN;
	else
		return ERR_INVALID;
	return 0;
}

static int yes_or_no(const struct value *value, bool *out)
{
	*out = string_is(value->text, value->len, "yes");
	return *out || string_is(value->text, value->len, "no") ? 0 : ERR_INVALID;
}

static int set_rng(struct value *value, struct vm_config *out)
{
	return yes_or_no(value, &out->rng);
}

static int set_hvc(struct value *value, struct vm_config *out)
{
	return yes_or_no(value, &out->hvc);
}

static int set_net(struct value *value, struct vm_config *out)
{
	return store_name(value, out->net);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Six bytes, as in 02:00:00:00:00:01; not a group's. */
static int set_mac(struct value *value, struct vm_config *out)
{
	bool zero = true;

	if (value->len != 3 * sizeof(out->mac) - 1)
		return ERR_INVALID;
	for (unsigned i = 0; i < sizeof(out->mac); i++) {
		const char *at = value->text + 3 * i;
		int high = hex_digit(at[0]), low = hex_digit(at[1]);

		if (high < 0 || low < 0 || (i + 1 < sizeof(out->mac) && at[2] != ':'))
			return ERR_INVALID;
		out->mac[i] = (u8)(high << 4 | low);
		zero &= !out->mac[i];
	}
	out->has_mac = !zero && !(out->mac[0] & 1);
	return out->has_mac ? 0 : ERR_INVALID;
}

static int number_in(struct value *value, u64 low, u64 high, u64 *out)
{
	u64 number;

	if (string_to_u64(value->text, value->len, &number) != 0)
		return ERR_INVALID;
	if (number < low || number > high)
		return ERR_RANGE;
	*out = number;
	return 0;
}

static int set_memory(struct value *value, struct vm_config *out)
{
	if (number_in(value, VM_MEMORY_MIN, VM_MEMORY_MAX, &out->memory) != 0)
		return ERR_RANGE;
	return IS_ALIGNED(out->memory, PAGE_SIZE) ? 0 : ERR_INVALID;
}

static int set_vcpus(struct value *value, struct vm_config *out)
{
	u64 number = 0;
	int err = number_in(value, 1, VM_VCPUS_MAX, &number);

	out->vcpus = (unsigned)number;
	return err;
}

static int set_devices(struct value *value, struct vm_config *out)
{
	u64 number = 0;
	int err = number_in(value, 1, VM_DEVICES_MAX, &number);

	out->devices = (unsigned)number;
	return err;
}

/* Up to the next of `ends`, or the end of the value. */
static size_t part_length(const struct value *value, size_t at, const char *ends)
{
	size_t len = 0;

	while (at + len < value->len && value->text[at + len] != ends[0] &&
	       value->text[at + len] != ends[1])
		len++;
	return len;
}

/* A number behind `mark` at *at, which is moved behind it; without the mark *out stays. */
static int take_marked(const struct value *value, size_t *at, char mark, u64 most, unsigned *out)
{
	struct value part = *value;
	u64 number = 0;
	int err;

	if (*at == value->len || value->text[*at] != mark)
		return 0;
	part.text += *at + 1;
	part.len = part_length(value, *at + 1, "**");
	err = number_in(&part, 1, most, &number);
	*out = (unsigned)number;
	*at += 1 + part.len;
	return err;
}

static unsigned subscribers_of(const struct vm_config *config)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < config->subscribers; i++)
		sum += config->subscriber[i].count;
	return sum;
}

/* KIND[:US][*COUNT] */
static int set_subscriber(struct value *value, struct vm_config *out)
{
	static const char *const kinds[VM_SUBSCRIBER_KINDS] = {
		[VM_SUBSCRIBER_BUSY] = "busy",	   [VM_SUBSCRIBER_SLOW] = "slow",
		[VM_SUBSCRIBER_SHADOW] = "shadow", [VM_SUBSCRIBER_INTERVAL] = "interval",
		[VM_SUBSCRIBER_VIEW] = "view",
	};
	size_t at = part_length(value, 0, ":*");
	struct vm_config_subscriber row = {.kind = 0, .count = 1};
	int err;

	while (row.kind < VM_SUBSCRIBER_KINDS && !string_is(value->text, at, kinds[row.kind]))
		row.kind++;
	if (row.kind == VM_SUBSCRIBER_KINDS || out->subscribers == VM_SUBSCRIBER_ROWS)
		return ERR_INVALID;
	err = take_marked(value, &at, ':', VM_SUBSCRIBER_WAIT, &row.wait);
	if (!err)
		err = take_marked(value, &at, '*', VM_SUBSCRIBERS, &row.count);
	if (err || at != value->len)
		return ERR_INVALID;
	if (row.kind == VM_SUBSCRIBER_VIEW && (row.wait || row.count > 1))
		return ERR_INVALID;
	out->subscriber[out->subscribers++] = row;
	return subscribers_of(out) > VM_SUBSCRIBERS + 1 ? ERR_RANGE : 0;
}

static int set_balloon(struct value *value, struct vm_config *out)
{
	out->has_balloon = true;
	return number_in(value, 0, VM_MEMORY_MAX, &out->balloon);
}

static int set_console(struct value *value, struct vm_config *out)
{
	return number_in(value, VM_CONSOLE_MIN, 1ull << 30, &out->console);
}

static int set_kill_after(struct value *value, struct vm_config *out)
{
	return number_in(value, 1, VM_KILL_AFTER_MAX, &out->kill_after);
}

static int set_type(struct value *value, struct vm_config *out)
{
	if (string_is(value->text, value->len, "multiboot"))
		out->type = VM_MULTIBOOT;
	else if (string_is(value->text, value->len, "real"))
		out->type = VM_REAL;
	else if (string_is(value->text, value->len, "linux"))
		out->type = VM_LINUX;
	else if (string_is(value->text, value->len, "bios"))
		out->type = VM_BIOS;
	else
		return ERR_INVALID;
	return 0;
}

static int set_merge(struct value *value, struct vm_config *out)
{
	u64 number = 0;
	int err = 0;

	if (string_is(value->text, value->len, "own"))
		number = VM_MERGE_OWN;
	else if (!string_is(value->text, value->len, "off"))
		err = number_in(value, 1, 65535, &number);
	out->merge_domain = (u32)number;
	return err;
}

static int set_mergeable(struct value *value, struct vm_config *out)
{
	out->merge_marked = string_is(value->text, value->len, "marked");
	return out->merge_marked || string_is(value->text, value->len, "all") ? 0 : ERR_INVALID;
}

static int set_merge_control(struct value *value, struct vm_config *out)
{
	return yes_or_no(value, &out->merge_control);
}

static int set_board(struct value *value, struct vm_config *out)
{
	out->board = string_is(value->text, value->len, "pc");
	return out->board || string_is(value->text, value->len, "none") ? 0 : ERR_INVALID;
}

static int set_keyboard(struct value *value, struct vm_config *out)
{
	return yes_or_no(value, &out->keyboard);
}

static int set_x2apic(struct value *value, struct vm_config *out)
{
	out->no_x2apic = string_is(value->text, value->len, "no");
	return out->no_x2apic || string_is(value->text, value->len, "yes") ? 0 : ERR_INVALID;
}

static int set_populate(struct value *value, struct vm_config *out)
{
	return yes_or_no(value, &out->populate);
}

static int set_test_calls(struct value *value, struct vm_config *out)
{
	return yes_or_no(value, &out->test_calls);
}

static int set_dirty(struct value *value, struct vm_config *out)
{
	static const char *const modes[] = {
		[DIRTY_WRITE_PROTECT] = "wp", [DIRTY_BITS] = "bits", [DIRTY_PML] = "pml"};

	for (unsigned i = 0; i < ARRAY_SIZE(modes); i++) {
		if (!string_is(value->text, value->len, modes[i]))
			continue;
		out->dirty = (enum dirty_mode)i;
		out->dirty_log = true;
		return 0;
	}
	return ERR_INVALID;
}

/* One CPU number at *at, which is moved behind it. */
static int take_cpu(const struct value *value, size_t *at, u64 *out)
{
	size_t start = *at;

	while (*at < value->len && value->text[*at] >= '0' && value->text[*at] <= '9')
		(*at)++;
	if (string_to_u64(value->text + start, *at - start, out) != 0)
		return ERR_INVALID;
	return *out < MIN(value->cpus, 64u) ? 0 : ERR_RANGE;
}

/* 0 or 1,3 or 2-5: a set of CPUs. */
static int set_cpus(struct value *value, struct vm_config *out)
{
	u64 first, last, set = 0;
	size_t at = 0;

	for (;;) {
		if (take_cpu(value, &at, &first) != 0)
			return ERR_RANGE;
		last = first;
		if (at < value->len && value->text[at] == '-') {
			at++;
			if (take_cpu(value, &at, &last) != 0 || last < first)
				return ERR_RANGE;
		}
		set |= BITS(last, first);
		if (at == value->len)
			break;
		if (value->text[at++] != ',')
			return ERR_INVALID;
	}
	out->cpus = set;
	return 0;
}

/*
 * `why` is the message for a value that `set` refuses: "KEY is VALUES", with '|' between the values
 * and N..M for a range, and perhaps a comma and a remark. VALUES in capitals are described by the
 * remark. scripts/words.py reads this table.
 */
static const struct word {
	const char *key;
	int (*set)(struct value *value, struct vm_config *out);
	const char *why;
} words[] = {
	{"name", set_name, "name is NAME, 1 to 23 letters, digits, - or _"},
	{"for", set_module_of, "for is NAME, 1 to 23 letters, digits, - or _"},
	{"image", set_image, "image is NAME, 1 to 23 letters, digits, - or _"},
	{"disk", set_disk, "disk is NAME, of an image; four disks at most"},
	{"disk_hints", set_disk_hints, "disk_hints is off|scan|known"},
	{"pmem", set_pmem, "pmem is NAME, of an image"},
	{"rng", set_rng, "rng is yes|no"},
	{"hvc", set_hvc, "hvc is yes|no"},
	{"net", set_net, "net is NAME, of a switch between VMs"},
	{"mac", set_mac, "mac is MAC, as in 02:00:00:00:00:01"},
	{"balloon", set_balloon, "balloon is 0..1024G, bytes to take at first"},
	{"memory", set_memory, "memory is 64K..1024G, in whole pages, as in 16M"},
	{"vcpus", set_vcpus, "vcpus is 1..16"},
	{"cpu", set_cpus, "cpu is CPUS, some of this machine's, as in 0 or 0,2 or 1-3"},
	{"type", set_type, "type is multiboot|real|linux|bios"},
	{"console", set_console, "console is 256..1G, a number of bytes"},
	{"board", set_board, "board is pc|none"},
	{"keyboard", set_keyboard, "keyboard is yes|no"},
	{"x2apic", set_x2apic, "x2apic is yes|no"},
	{"merge", set_merge, "merge is off|own|1..65535, a domain"},
	{"populate", set_populate, "populate is yes|no"},
	{"dirty", set_dirty, "dirty is wp|bits|pml"},
	{"devices", set_devices, "devices is 1..64"},
	{"subscriber", set_subscriber,
	 "subscriber is SUBSCRIBER, view or busy, slow, shadow, interval with :US and *COUNT"},
	{"mergeable", set_mergeable, "mergeable is all|marked"},
	{"merge_control", set_merge_control, "merge_control is yes|no"},
	{"kill_after", set_kill_after, "kill_after is 1..86400000, milliseconds"},
	{"test_calls", set_test_calls, "test_calls is yes|no"},
};

static size_t word_length(const char *text)
{
	size_t len = 0;

	while (text[len] && text[len] != ' ')
		len++;
	return len;
}

static int parse_word(const char *text, size_t len, unsigned cpus, struct vm_config *out,
		      struct config_error *error)
{
	const char *equal = memchr(text, '=', len);
	size_t key = equal ? (size_t)(equal - text) : len;

	*error = (struct config_error){text, len, "there is no such word"};
	for (size_t i = 0; equal && i < ARRAY_SIZE(words); i++) {
		struct value value = {equal + 1, len - key - 1, cpus};

		if (!string_is(text, key, words[i].key))
			continue;
		error->why = words[i].why;
		return words[i].set(&value, out);
	}
	return ERR_INVALID;
}

static int store_arg(const char *text, struct vm_config *out, struct config_error *error)
{
	while (*text == ' ')
		text++;
	if (string_copy(out->arg, sizeof(out->arg), text))
		return 0;
	*error = (struct config_error){text, strlen(text),
				       "a guest's command line has 2047 characters"};
	return ERR_RANGE;
}

static unsigned count_views(const struct vm_config *config)
{
	unsigned count = 0;

	for (unsigned i = 0; i < config->subscribers; i++)
		count += config->subscriber[i].kind == VM_SUBSCRIBER_VIEW;
	return count;
}

static bool has_devices(const struct vm_config *config)
{
	return config->disks || config->pmem[0] || config->rng || config->hvc || config->net[0] ||
	       config->has_balloon;
}

static int check_whole(const char *line, struct vm_config *out, struct config_error *error)
{
	out->board |= out->type == VM_LINUX || out->type == VM_BIOS;
	*error = (struct config_error){line, strlen(line), "a VM needs name=NAME"};
	if (!out->name[0] && !out->module_of[0] && !out->image[0])
		return ERR_INVALID;
	error->why = "virtio devices need a board: board=pc";
	if (has_devices(out) && !out->board)
		return ERR_INVALID;
	error->why = "disk_hints need merge=";
	if (out->disk_hints != VM_HINTS_OFF && !out->merge_domain)
		return ERR_INVALID;
	error->why = "balloon is less than the VM's memory";
	if (out->has_balloon && out->balloon >= out->memory)
		return ERR_RANGE;
	error->why = "subscriber=view is one, and needs vcpus=2 or more";
	if (count_views(out) > (out->vcpus > 1))
		return ERR_INVALID;
	error->why = "keyboard=yes needs board=pc";
	if (out->keyboard && !out->board)
		return ERR_INVALID;
	error->why = "a VM with a board has more than 1M of memory";
	if (out->board && out->memory <= MACHINE_HOLE_END)
		return ERR_RANGE;
	return 0;
}

int vm_config_parse(const char *line, unsigned cpus, struct vm_config *out,
		    struct config_error *error)
{
	const char *at = line;
	bool first = true;

	*out = (struct vm_config){.type = VM_MULTIBOOT,
				  .memory = 16ull << 20,
				  .vcpus = 1,
				  .devices = 1,
				  .console = VM_CONSOLE_SIZE};
	for (; *at; first = false) {
		size_t len = word_length(at);
		int err = 0;

		if (len >= 4 && memcmp(at, "arg=", 4) == 0) {
			err = store_arg(at + 4, out, error);
			len = strlen(at);
		} else if (len > 0 && !(first && !memchr(at, '=', len))) {
			err = parse_word(at, len, cpus, out, error);
		}
		if (err)
			return err;
		at += len;
		if (out->module_of[0] && *at) {
			err = store_arg(at, out, error);
			return err;
		}
		at += *at == ' ';
	}
	return check_whole(line, out, error);
}
