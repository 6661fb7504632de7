/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c: from boot modules to running VMs, and the end of the machine.
 *
 * A module that cannot be used costs its VM and a message, never the others.
 */
#include <hv/main.h>
#include <arch/cpu.h>
#include <arch/virt.h>
#include <hv/config.h>
#include <hv/control.h>
#include <hv/cpuid.h>
#include <hv/loader.h>
#include <hv/merging.h>
#include <hv/progress.h>
#include <hv/reclaiming.h>
#include <hv/run.h>
#include <hv/sched.h>
#include <hv/summary.h>
#include <hv/terminal.h>
#include <hv/tracing.h>
#include <hv/virtio.h>
#include <hv/vm_create.h>
#include <lib/boot_phase.h>
#include <lib/error.h>
#include <lib/format.h>
#include <lib/log.h>
#include <lib/string.h>
#include <mm/addrspace.h>
#include <mm/frame.h>
#include <mm/notifier.h>

#define LOG_THIS LOG_HV

/* [a] The phase that CPU 0 has reached; the others wait for each. */
enum { PHASE_BOOT, PHASE_ENABLE, PHASE_RUN };
static unsigned phase;
/* [a] CPUs with virtualization on, and CPUs that have left run_cpu(). */
static unsigned cpus_in, cpus_out;

static bool parse_module(const struct boot_module *module, struct vm_config *config)
{
	struct config_error error;
	int err = vm_config_parse(module->command_line, arch_cpu_count(), config, &error);

	if (err == 0)
		return true;
	log_error("%s: \"%.*s\": %s; this VM is not started",
		  config->name[0] ? config->name : "module", (int)MIN(error.len, 80ul), error.word,
		  error.why);
	control_vm_refused(config->name[0] ? config->name : "module");
	return false;
}

static struct load_module as_load_module(const struct boot_module *module, const char *arg)
{
	return (struct load_module){
		.file = arch_hpa_to_virt(module->range.start),
		.size = module->range.end.raw - module->range.start.raw,
		.arg = arg,
	};
}

/*
 * What the module at each place is for, by its line, which is parsed once: a machine has dozens of
 * VMs, and each looks for its files.
 */
static struct module_role {
	char module_of[VM_NAME_MAX];
	char image[VM_NAME_MAX];
} roles[BOOT_MODULES_MAX];

/* A line that is wrong has no role. */
static void find_roles(const struct boot_info *info)
{
	struct config_error error;
	struct vm_config config;

	for (unsigned i = 0; i < info->module_count; i++) {
		if (vm_config_parse(info->modules[i].command_line, arch_cpu_count(), &config,
				    &error))
			continue;
		memcpy(roles[i].module_of, config.module_of, VM_NAME_MAX);
		memcpy(roles[i].image, config.image, VM_NAME_MAX);
	}
}

/* The modules that say for=NAME. Their arguments live in `configs`. */
static unsigned find_modules(const struct boot_info *info, const char *name,
			     struct vm_config *configs, struct load_module *out)
{
	unsigned count = 0;

	for (unsigned i = 0; i < info->module_count && count < LOAD_MODULES_MAX; i++) {
		const struct boot_module *module = &info->modules[i];
		struct vm_config *config = &configs[count];
		struct config_error error;

		if (strcmp(roles[i].module_of, name) == 0 &&
		    vm_config_parse(module->command_line, arch_cpu_count(), config, &error) == 0)
			out[count++] = as_load_module(module, config->arg);
	}
	return count;
}

static const struct boot_module *find_image(const struct boot_info *info, const char *name)
{
	for (unsigned i = 0; i < info->module_count; i++)
		if (strcmp(roles[i].image, name) == 0)
			return &info->modules[i];
	return NULL;
}

/* A disk, or persistent memory, with the image `name`. */
static int add_image(const struct boot_info *info, struct vm *vm, const char *word,
		     const char *name)
{
	const struct boot_module *module = find_image(info, name);
	struct load_module image;
	int err = ERR_NOT_FOUND;

	if (module) {
		image = as_load_module(module, NULL);
		err = strcmp(word, "pmem") ? virtio_add_disk(vm, name, image.file, image.size)
					   : virtio_add_pmem(vm, image.file, image.size,
							     cpuid_address_bits(vm->cpuid));
	}
	if (err)
		log_error("%s: %s=%s: %s", vm->config.name, word, name, error_name(err));
	return err;
}

static void drop_useless_hints(struct vm *vm)
{
	if (vm->config.disk_hints == VM_HINTS_OFF || merging_is_on())
		return;
	log_warn("%s: disk_hints: the hypervisor's line has merge=off; no hints", vm->config.name);
	vm->config.disk_hints = VM_HINTS_OFF;
}

static int add_images(const struct boot_info *info, struct vm *vm)
{
	int err = 0;

	drop_useless_hints(vm);
	for (unsigned i = 0; i < vm->config.disks && !err; i++)
		err = add_image(info, vm, "disk", vm->config.disk[i]);
	if (!err && vm->config.pmem[0])
		err = add_image(info, vm, "pmem", vm->config.pmem);
	return err;
}

/* An image that cannot be adopted is a disk without hints. */
static void adopt_images(const struct boot_info *info)
{
	for (unsigned i = 0; i < info->module_count; i++) {
		struct load_module image = as_load_module(&info->modules[i], NULL);
		int err = roles[i].image[0] ? virtio_adopt_image(image.file, image.size) : 0;

		if (err)
			log_warn("image=%s: its frames cannot be shared: %s", roles[i].image,
				 error_name(err));
	}
}

static int add_devices(const struct boot_info *info, struct vm *vm)
{
	int err = add_images(info, vm);

	if (err)
		return err;
	err = virtio_add_devices(vm);
	if (err)
		log_error("%s: its devices: %s", vm->config.name, error_name(err));
	return err;
}

static struct vm *make_vm(const struct boot_info *info, const struct boot_module *module,
			  const struct vm_config *config)
{
	static struct vm_config configs[LOAD_MODULES_MAX]; /* too large for a stack */
	struct load_module kernel = as_load_module(module, config->arg);
	struct load_module modules[LOAD_MODULES_MAX];
	unsigned count = find_modules(info, config->name, configs, modules);
	struct vm *vm;
	int err = vm_create(config, &vm);

	if (err != 0) {
		log_error("%s: not started: %s", config->name, error_name(err));
		control_vm_refused(config->name);
		return NULL;
	}
	if (add_devices(info, vm) != 0 ||
	    load_guest(vm, kernel.file, kernel.size, modules, count) != 0) {
		log_error("%s: not started", config->name);
		control_vm_refused(config->name);
		vm_discard(vm);
		return NULL;
	}
	return vm;
}

static unsigned make_vms(const struct boot_info *info)
{
	unsigned made = 0;

	for (unsigned i = 0; i < info->module_count; i++) {
		struct vm_config config;

		if (parse_module(&info->modules[i], &config) && !config.module_of[0] &&
		    !config.image[0])
			made += make_vm(info, &info->modules[i], &config) != NULL;
	}
	return made;
}

static bool image_is_used(const char *name)
{
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++) {
		for (unsigned disk = 0; disk < vm->config.disks; disk++) {
			if (!strcmp(vm->config.disk[disk], name))
				return true;
		}
		if (!strcmp(vm->config.pmem, name))
			return true;
	}
	return false;
}

/*
 * A module for a VM that does not exist, or an image of no disk, is a mistake in the boot
 * configuration.
 */
static void report_orphans(const struct boot_info *info)
{
	for (unsigned i = 0; i < info->module_count; i++) {
		const struct module_role *role = &roles[i];

		if (role->image[0] && !image_is_used(role->image))
			log_warn("module: \"image=%s\": no VM has a disk of it", role->image);
		if (role->module_of[0] && !vm_find(role->module_of))
			log_warn("module: \"for=%s\": there is no VM of this name; left out",
				 role->module_of);
	}
}

/* A VM's memory is backed on demand, so more may be promised than there is. */
static void warn_of_overcommit(u64 free)
{
	u64 pages = 0;
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++)
		pages += vm->config.memory >> PAGE_SHIFT;
	if (pages > free)
		log_warn("the VMs have %lu MiB together and the machine %lu MiB free: one that "
			 "finds no frame for two seconds is stopped",
			 pages >> 8, free >> 8);
}

static void start_vms(void)
{
	struct vm *vm;

	for (unsigned i = 0; (vm = vm_get(i)); i++)
		vm_start(vm);
}

static void wait_for(const unsigned *counter, unsigned value)
{
	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) < value)
		arch_cpu_relax();
}

/*
 * fail_alloc=N: one frame allocation in N fails, from where the VMs begin to run, or are created
 * and loaded. Allocations of boot and of the back ends do not fail: no VM would run.
 */
static void inject_failures(const char *now)
{
	u64 one_in = boot_option_number("fail_alloc"), seed = boot_option_number("fail_seed");

	if (!one_in || strcmp(boot_option_text("fail_from"), now) != 0)
		return;
	frame_fail_set(one_in, seed);
	log_warn("fail_alloc: one frame allocation in %lu fails from now on, seed %lu", one_in,
		 seed);
}

static enum retry_mode retry_option(void)
{
	const char *text = boot_option_text("fault_retry");

	if (!strcmp(text, "reenter"))
		return RETRY_REENTER;
	if (!strcmp(text, "inplace"))
		return RETRY_INPLACE;
	return IS_ENABLED(CONFIG_FAULT_RETRY_REENTER) ? RETRY_REENTER : RETRY_INPLACE;
}

static enum read_mode read_option(void)
{
	return strcmp(boot_option_text("fault_read"), "as_write") ? READ_AS_READ : READ_AS_WRITE;
}

/* Each notifier_AXIS=VALUE changes the point on one axis. */
static void apply_axes(struct notifier_policy *policy)
{
	char option[32];

	for (unsigned axis = 0; axis < POLICY_AXES; axis++) {
		const char *name = policy_axis_name(axis), *value;

		format_text(option, sizeof(option), "notifier_%s", name);
		value = boot_option_text(option);
		if (*value && notifier_policy_set(policy, name, strlen(name), value))
			log_error("%s=%s: the axis has no such value", option, value);
	}
}

/* notifier=, notifier_AXIS=, fault_retry=, fault_read=, cow_ahead=, fault_ahead=: for all address
 * spaces. */
static void configure_notifier(void)
{
	const char *name = boot_option_text("notifier");
	const struct notifier_policy *named = notifier_policy_find(name, strlen(name));
	struct notifier_policy policy = named ? *named : *notifier_policy_default();
	char text[POLICY_TEXT_MAX];
	const char *why;

	if (*name && !named)
		log_error("notifier=%s: no such policy; the default stays", name);
	apply_axes(&policy);
	why = notifier_policy_refusal(&policy);
	if (why) {
		notifier_policy_text(&policy, text, sizeof(text));
		log_error("notifier: %s: refused: %s; the default stays", text, why);
	}
	addrspace_configure(why ? NULL : &policy, retry_option(), read_option(),
			    boot_option_number("cow_ahead"), boot_option_number("fault_ahead"));
}

static const struct terminal_monitor monitor = {monitor_open, monitor_type};

void hv_main(const struct boot_info *info)
{
	struct control_verdict verdict;
	struct frame_stats before;
	bool good;

	if (arch_virt_init() != 0)
		arch_machine_end(false);
	sched_init();
	configure_notifier();
	merging_init();
	tracing_init();
	__atomic_store_n(&phase, PHASE_ENABLE, __ATOMIC_RELEASE);
	wait_for(&cpus_in, arch_cpu_count() - 1);
	boot_phase_end(BOOT_PHASE_VIRT, arch_ticks());
	find_roles(info);
	adopt_images(info);
	frame_stats(&before);
	reclaiming_init();
	inject_failures("load");
	if (make_vms(info) == 0)
		log_error("no VM to run: a boot module makes one, with a line such as "
			  "\"name=hello memory=16M\"");
	boot_phase_end(BOOT_PHASE_VMS, arch_ticks());
	report_orphans(info);
	warn_of_overcommit(before.free);
	good = vm_get(0) != NULL;
	terminal_start((unsigned)boot_option_number("console"), &monitor);
	progress_start(boot_option_number("progress"));
	control_start();
	inject_failures("run");
	start_vms();
	boot_phase_end(BOOT_PHASE_START, arch_ticks());
	__atomic_store_n(&phase, PHASE_RUN, __ATOMIC_RELEASE);
	run_cpu();
	wait_for(&cpus_out, arch_cpu_count() - 1);
	control_end_figures();
	summary_vms();
	merging_summary();
	if (boot_option_number("fail_alloc"))
		log_info("summary: fail_alloc: %lu allocations failed on purpose",
			 frame_fail_count());
	reclaiming_summary();
	tracing_summary();
	good = summary_audit(&verdict) && good;
	vm_free_all();
	reclaiming_fini();
	good = summary_frames(before.free - tracing_late_frames(), &verdict) && good;
	verdict.good = good;
	control_send_trace();
	control_end(&verdict);
	log_info("end");
	arch_machine_end(good);
}

void hv_ap_main(void)
{
	wait_for(&phase, PHASE_ENABLE);
	if (virt->cpu_enable() != 0)
		panic("CPU %u has no usable %s, though CPU 0 has", arch_cpu_id(), virt->feature);
	__atomic_add_fetch(&cpus_in, 1, __ATOMIC_RELEASE);
	wait_for(&phase, PHASE_RUN);
	run_cpu();
	__atomic_add_fetch(&cpus_out, 1, __ATOMIC_RELEASE);
	for (;;)
		arch_idle();
}
