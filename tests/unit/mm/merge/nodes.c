/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodes.c: stable nodes by number, held against a table of what each should be: links, chains,
 * walks, and the pages that come and go with the nodes.
 */
#include "sim/merge_check.h"

#include "mm/merge/nodes.h"

#define NODES	   1200u
#define OPERATIONS 20000u
#define CHAIN	   64u
#define TAG(i)	   (0x800000u + (i))
#define LINK(i)	   (0x8000000u + (i))

static struct stable_nodes nodes;
static struct sim_random random_numbers;

/* By content: its head and chain, in order; 0: the content has no node. */
static u32 content[NODES][CHAIN + 1];
static u32 all;

static unsigned length(unsigned i)
{
	unsigned n = 0;

	while (n <= CHAIN && content[i][n])
		n++;
	return n;
}

static u64 frames_taken(void)
{
	struct frame_stats stats;

	frame_stats(&stats);
	return stats.hypervisor;
}

static u32 new_node(unsigned i)
{
	u32 number;

	assert_int_equal(node_new(&nodes, TAG(i), (struct mfn){i + 1}, &number), 0);
	all++;
	return number;
}

static void add_node(unsigned i)
{
	unsigned n = length(i);

	if (n > CHAIN)
		return;
	if (n == 0) {
		content[i][0] = new_node(i);
		node_set_link(&nodes, node_at(&nodes, content[i][0]), LINK(i));
		return;
	}
	memmove(&content[i][2], &content[i][1], (n - 1) * sizeof(u32));
	content[i][1] = new_node(i);
	node_chain_add(&nodes, content[i][0], content[i][1]);
}

static void remove_node(unsigned i)
{
	unsigned n = length(i), at;

	if (n == 0)
		return;
	at = n > 1 ? 1 + (unsigned)sim_below(&random_numbers, n - 1) : 0;
	if (at)
		node_chain_remove(&nodes, content[i][0], content[i][at - 1], content[i][at]);
	node_free(&nodes, content[i][at]);
	memmove(&content[i][at], &content[i][at + 1], (CHAIN - at) * sizeof(u32));
	content[i][CHAIN] = 0;
	all--;
}

static void check_content(unsigned i)
{
	unsigned n = length(i);
	const struct stable *head;

	if (n == 0)
		return;
	head = node_at(&nodes, content[i][0]);
	assert_true(node_is_head(head));
	assert_int_equal(node_tag(head), TAG(i));
	assert_int_equal(node_link(&nodes, head), LINK(i));
	for (unsigned at = 0; at < n; at++) {
		const struct stable *node = node_at(&nodes, content[i][at]);

		assert_int_equal(node_mfn(node).raw, i + 1);
		assert_int_equal(node_next_frame(node), at + 1 < n ? content[i][at + 1] : 0);
	}
}

/* The walk finds each head once, in steps of any size. */
static void check_walk(void)
{
	u32 heads = 0, found = 0, number = 1;

	for (unsigned i = 0; i < NODES; i++)
		heads += content[i][0] != 0;
	while (number) {
		u32 steps = 1 + (u32)sim_below(&random_numbers, 40);

		number = node_walk(&nodes, number, &steps);
		if (!number || !steps)
			continue;
		assert_true(node_is_head(node_at(&nodes, number)));
		found++;
		number++;
	}
	assert_int_equal(found, heads);
}

static void nodes_links_and_chains_are_kept_whatever_comes_and_goes(void **state)
{
	world_begin(1, 16);
	random_numbers = sim_random_start(0x6e6f6465);
	for (unsigned n = 0; n < OPERATIONS; n++) {
		/* one content in four has a chain; the numbers rise, and fall again */
		unsigned i = (unsigned)sim_below(&random_numbers, NODES);
		bool fewer = n > OPERATIONS / 2;

		i = sim_below(&random_numbers, 4) ? i : i % 8;
		if (sim_below(&random_numbers, 10) < (fewer ? 7 : 3))
			remove_node(i);
		else
			add_node(i);
		check_content(i);
		if (n % 1000 == 0) {
			for (unsigned k = 0; k < NODES; k++)
				check_content(k);
			check_walk();
		}
	}
	for (unsigned i = 0; i < NODES; i++)
		while (length(i))
			remove_node(i);
	assert_int_equal(all, 0);
	assert_int_equal(nodes.pages, 0);
	nodes_fini(&nodes);
	world_end();
}

/* A node is twelve bytes; pages without a node are freed, those in between are filled again. */
static void pages_of_nodes_come_and_go(void **state)
{
	const u32 many = 600 * NODES_A_PAGE;
	u32 number;
	u64 before;

	world_begin(1, 16);
	before = frames_taken();
	for (u32 i = 1; i <= many; i++) {
		assert_int_equal(node_new(&nodes, 0, (struct mfn){1}, &number), 0);
		assert_int_equal(number, i);
	}
	assert_int_equal(frames_taken() - before, 602); /* a directory of two pages */
	assert_int_equal(nodes_bytes(&nodes), 602 * PAGE_SIZE);
	for (u32 i = 1; i <= many; i++)
		if ((i - 1) / NODES_A_PAGE % 3)
			node_free(&nodes, i);
	assert_int_equal(frames_taken() - before, 202);
	for (u32 i = 0; i < 2 * NODES_A_PAGE; i++) {
		assert_int_equal(node_new(&nodes, 0, (struct mfn){1}, &number), 0);
		assert_in_range(number, NODES_A_PAGE + 1, 3 * NODES_A_PAGE);
	}
	NODES_FOREACH_HEAD (head, &nodes)
		node_free(&nodes, head);
	nodes_fini(&nodes);
	assert_int_equal(frames_taken(), before);
	world_end();
}

static void a_frame_beyond_its_field_gets_no_node(void **state)
{
	u32 number = 7;

	world_begin(1, 16);
	assert_int_equal(node_new(&nodes, 0, (struct mfn){STABLE_FRAMES}, &number), ERR_RANGE);
	assert_int_equal(number, 7);
	assert_int_equal(nodes_bytes(&nodes), 0);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_links_and_chains_are_kept_whatever_comes_and_goes),
		cmocka_unit_test(pages_of_nodes_come_and_go),
		cmocka_unit_test(a_frame_beyond_its_field_gets_no_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
