/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c: the command lines of boot modules (CONFIG-1, CONFIG-2).
 */
#include "sim/sim.h"
#include <hv/config.h>

#define CPUS 4

static struct vm_config config;
static struct config_error error;

static int parse(const char *line)
{
	return vm_config_parse(line, CPUS, &config, &error);
}

static void assert_refused(const char *line, const char *word)
{
	assert_int_not_equal(parse(line), 0);
	assert_int_equal(error.len, strlen(word));
	assert_memory_equal(error.word, word, error.len);
	assert_non_null(error.why);
}

static void a_name_alone_gets_the_defaults(void **state)
{
	assert_int_equal(parse("name=hello"), 0);
	assert_string_equal(config.name, "hello");
	assert_int_equal(config.memory, 16 * MIB);
	assert_int_equal(config.vcpus, 1);
	assert_int_equal(config.devices, 1);
	assert_false(config.dirty_log);
	assert_int_equal(config.cpus, 0);
	assert_int_equal(config.type, VM_MULTIBOOT);
	assert_int_equal(config.console, VM_CONSOLE_SIZE);
	assert_string_equal(config.arg, "");
	assert_string_equal(config.module_of, "");
}

static void every_word_is_taken(void **state)
{
	assert_int_equal(
		parse("/boot/a.elf name=a-1 memory=0x200000 vcpus=2 cpu=0,2-3 type=real "
		      "console=4K kill_after=5 populate=yes devices=3 dirty=bits arg=x=1 name=b"),
		0);
	assert_string_equal(config.name, "a-1");
	assert_int_equal(config.memory, 2 * MIB);
	assert_int_equal(config.vcpus, 2);
	assert_int_equal(config.cpus, 0xd);
	assert_int_equal(config.type, VM_REAL);
	assert_int_equal(config.console, 4096);
	assert_int_equal(config.kill_after, 5);
	assert_true(config.populate);
	assert_int_equal(config.devices, 3);
	assert_true(config.dirty_log);
	assert_int_equal(config.dirty, DIRTY_BITS);
	assert_string_equal(config.arg, "x=1 name=b");
}

static void a_network_has_a_name_and_perhaps_an_address(void **state)
{
	assert_int_equal(parse("name=a board=pc memory=2M net=lan mac=02:00:0a:00:00:ff"), 0);
	assert_string_equal(config.net, "lan");
	assert_true(config.has_mac);
	assert_int_equal(config.mac[2], 0x0a);
	assert_int_equal(config.mac[5], 0xff);
	assert_refused("name=a board=pc memory=2M mac=01:00:00:00:00:01", "mac=01:00:00:00:00:01");
	assert_refused("name=a board=pc memory=2M mac=00:00:00:00:00:00", "mac=00:00:00:00:00:00");
	assert_refused("name=a board=pc memory=2M mac=02:00:00:00:00:1", "mac=02:00:00:00:00:1");
	assert_refused("name=a board=pc memory=2M mac=02:00:00-00:00:01", "mac=02:00:00-00:00:01");
	assert_int_not_equal(parse("name=a net=lan"), 0);
}

static void an_image_is_a_disk_or_persistent_memory(void **state)
{
	assert_int_equal(parse("name=a board=pc memory=2M merge=1 disk=base disk_hints=known"), 0);
	assert_int_equal(config.disk_hints, VM_HINTS_KNOWN);
	assert_int_equal(parse("name=a board=pc memory=2M merge=own disk=base disk_hints=scan"), 0);
	assert_int_equal(config.disk_hints, VM_HINTS_SCAN);
	assert_int_equal(parse("name=a board=pc memory=2M disk=base disk_hints=off"), 0);
	assert_int_equal(config.disk_hints, VM_HINTS_OFF);
	assert_int_not_equal(parse("name=a board=pc memory=2M disk=base disk_hints=scan"), 0);
	assert_refused("name=a merge=1 disk_hints=all", "disk_hints=all");
	assert_int_equal(parse("name=a board=pc memory=2M pmem=base"), 0);
	assert_string_equal(config.pmem, "base");
	assert_int_not_equal(parse("name=a pmem=base"), 0);
}

static void a_bios_has_a_board(void **state)
{
	assert_int_equal(parse("name=a type=bios disk=base"), 0);
	assert_int_equal(config.type, VM_BIOS);
	assert_true(config.board);
	assert_int_not_equal(parse("name=a type=bios memory=1M"), 0);
}

/* What does not lie below 3 GiB lies above 4 GiB, so a board sets no limit. */
static void a_board_has_more_than_3_gib(void **state)
{
	assert_int_equal(parse("name=a board=pc memory=5G"), 0);
	assert_int_equal(parse("name=a board=pc memory=1024G"), 0);
	assert_int_not_equal(parse("name=a board=pc memory=1M"), 0);
}

static void a_balloon_is_smaller_than_the_memory(void **state)
{
	assert_int_equal(parse("name=a board=pc memory=64M balloon=32M"), 0);
	assert_true(config.has_balloon);
	assert_int_equal(config.balloon, 32 * MIB);
	assert_int_equal(parse("name=a board=pc memory=64M balloon=0"), 0);
	assert_true(config.has_balloon);
	assert_int_not_equal(parse("name=a board=pc memory=64M balloon=64M"), 0);
	assert_int_not_equal(parse("name=a memory=64M balloon=0"), 0);
}

static void blanks_do_not_matter(void **state)
{
	assert_int_equal(parse("   name=a    vcpus=3  "), 0);
	assert_int_equal(config.vcpus, 3);
}

static void a_module_names_its_vm_and_keeps_the_rest(void **state)
{
	assert_int_equal(parse("initrd.img for=linux  root=/dev/ram quiet"), 0);
	assert_string_equal(config.module_of, "linux");
	assert_string_equal(config.arg, "root=/dev/ram quiet");
	assert_int_equal(parse("for=linux"), 0);
	assert_string_equal(config.arg, "");
}

static void a_wrong_word_is_named(void **state)
{
	assert_refused("name=a colour=red", "colour=red");
	assert_refused("name=a vcpus", "vcpus");
	assert_refused("name=a =3", "=3");
	assert_refused("name=a nam=b", "nam=b");
}

static void a_wrong_value_is_named(void **state)
{
	static const char *const words[] = {
		"memory=",
		"memory=lots",
		"memory=63K",
		"memory=1025G",
		"memory=65537",
		"memory=-1",
		"vcpus=0",
		"vcpus=17",
		"vcpus=1x",
		"cpu=",
		"cpu=4",
		"cpu=0,",
		"cpu=2-1",
		"cpu=0-9",
		"cpu=a",
		"cpu=0;1",
		"type=windows",
		"populate=1",
		"devices=0",
		"devices=65",
		"dirty=yes",
		"type=",
		"console=255",
		"kill_after=0",
		"kill_after=86400001",
		"kill_after=10s",
		"console=2G",
		"cpu=99999999999999999999",
		"name=",
		"name=a/b",
		"name=abcdefghijklmnopqrstuvwx",
	};
	char line[128];

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		snprintf(line, sizeof(line), "name=a %s vcpus=1", words[i]);
		assert_refused(line, words[i]);
	}
}

static void a_line_without_a_name_is_refused(void **state)
{
	assert_refused("", "");
	assert_refused("memory=16M", "memory=16M");
	assert_refused("/boot/hello.elf", "/boot/hello.elf");
}

static void a_long_argument_is_refused_and_the_longest_kept(void **state)
{
	char line[16 + VM_ARG_MAX];

	memset(line, 'x', sizeof(line));
	memcpy(line, "name=a arg=", 11);
	line[11 + VM_ARG_MAX - 1] = '\0';
	assert_int_equal(parse(line), 0);
	assert_int_equal(strlen(config.arg), VM_ARG_MAX - 1);
	line[11 + VM_ARG_MAX - 1] = 'x';
	line[11 + VM_ARG_MAX] = '\0';
	assert_int_not_equal(parse(line), 0);
}

/* CONFIG-1 and CONFIG-2, for a machine of 64 CPUs too. */
static void every_cpu_of_a_large_machine_can_be_named(void **state)
{
	assert_int_equal(vm_config_parse("name=a cpu=0-63", 64, &config, &error), 0);
	assert_true(config.cpus == ~0ull);
	assert_int_not_equal(vm_config_parse("name=a cpu=64", 65, &config, &error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_alone_gets_the_defaults),
		cmocka_unit_test(every_word_is_taken),
		cmocka_unit_test(a_network_has_a_name_and_perhaps_an_address),
		cmocka_unit_test(an_image_is_a_disk_or_persistent_memory),
		cmocka_unit_test(a_bios_has_a_board),
		cmocka_unit_test(a_board_has_more_than_3_gib),
		cmocka_unit_test(a_balloon_is_smaller_than_the_memory),
		cmocka_unit_test(blanks_do_not_matter),
		cmocka_unit_test(a_module_names_its_vm_and_keeps_the_rest),
		cmocka_unit_test(a_wrong_word_is_named),
		cmocka_unit_test(a_wrong_value_is_named),
		cmocka_unit_test(a_line_without_a_name_is_refused),
		cmocka_unit_test(a_long_argument_is_refused_and_the_longest_kept),
		cmocka_unit_test(every_cpu_of_a_large_machine_can_be_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
