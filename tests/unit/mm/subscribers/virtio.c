/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.c: a disk's rings and requests (hv/virtio) over a guest cache, against changes of the
 * pages that it uses, in many interleavings.
 *
 *     CPU 0: changes a page        CPU 1: the device works        CPU 2: the driver
 *
 * GUEST-CACHE-1, GUEST-CACHE-2, NOTIFIER-5: a request is done once, whatever happens to the pages
 * of its rings and data meanwhile; a page that is shared with one of them keeps its content; and
 * under no accepted policy but `late` the device misses what the driver wrote before it notified.
 */
#include "sim/explore.h"
#include "sim/mm_world.h"

#include <ck_pr.h>
#include <mm/audit.h>
#include <mm/reclaim.h>

#include "hv/virtio/blk.h"
#include "hv/virtio/dma.h"

#define DRAWN  3  /* schedules of a change, by chance */
#define POINTS 40 /* of a policy; a loss shows in a few dozen */
#define TRIES  30 /* searches for a loss; for none: one in ten of them */
#define ANY    1000u
#define IMAGE  (2 * PAGE_SIZE)

/* The pages of the queue and its request; COPY + n is shared with n at first. */
enum { AVAIL = 2, DESC, USED, DATA, HEADER, COPY = 16, FRAMES = 32 };
enum { AT_STATUS = 64, REQUEST_PIECES = 16 };
enum register_offset { STATUS = 20, QUEUE_SIZE = 24, QUEUE_ENABLE = 28, QUEUE_ADDRESS = 32 };

static struct race {
	const struct notifier_policy *policy;
	enum retry_mode retry;
	int (*change)(struct race *race);
	u64 gfn; /* that is changed */
	u64 features;
	struct addrspace *as;
	struct stage2 *s2;
	struct virtio_blk blk;
	bool notified;
	u64 lost;
} race;

static u8 image[IMAGE] __aligned(PAGE_SIZE);
static unsigned accepted;

/* --- The device ------------------------------------------------------------------------------- */

static void message(void *context, u32 address, u32 data)
{
}

static void follow(void *context, unsigned wire)
{
}

static const struct pci_board board = {message, follow};
static struct pci bus = {.board = &board};
static const struct virtio_ops ops = {.type = VIRTIO_BLK, .run = blk_run, .reset = blk_reset};

static void set_register(u32 offset, unsigned size, u64 value)
{
	struct pci_function *function = &race.blk.device.pci;

	spin_lock(&function->lock);
	pci_function_bar_write(function, 0, offset, MIN(size, 4u), (u32)value);
	if (size == 8)
		pci_function_bar_write(function, 0, offset + 4, 4, (u32)(value >> 32));
	pci_unlock(function);
}

static void start_device(struct race *r)
{
	struct virtio_device *device = &r->blk.device;

	memset(&r->blk, 0, sizeof(r->blk));
	assert_int_equal(disk_init(&r->blk.disk, image, IMAGE), 0);
	blk_init(&r->blk, 1, "race", &ops);
	device->pci.bus = &bus;
	device->pci.config[PCI_COMMAND] = PCI_COMMAND_MASTER;
	assert_int_equal(virtio_dma_create(r->as, &device->memory), 0);
	device->accepted = VIRTIO_F_VERSION_1 | r->features;
	set_register(STATUS, 1, VIRTIO_FEATURES_OK);
	set_register(QUEUE_SIZE, 2, 4);
	set_register(QUEUE_ADDRESS, 8, DESC << PAGE_SHIFT);
	set_register(QUEUE_ADDRESS + 8, 8, AVAIL << PAGE_SHIFT);
	set_register(QUEUE_ADDRESS + 16, 8, USED << PAGE_SHIFT);
	set_register(QUEUE_ENABLE, 2, 1);
	set_register(STATUS, 1, VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
}

static void work(void)
{
	struct pci_function *function = &race.blk.device.pci;

	spin_lock(&function->lock);
	(void)function->ops->work(function);
	pci_unlock(function);
}

/* As a vCPU's run loop, which ends when no work is left. */
static void device(void *world)
{
	for (unsigned i = 0; i < REQUEST_PIECES && ck_pr_load_32(&race.blk.device.pci.work); i++)
		work();
}

/* --- The driver ------------------------------------------------------------------------------- */

static void put(u64 gfn, u64 offset, const void *value, size_t len)
{
	const struct gpa gpa = {(gfn << PAGE_SHIFT) + offset};

	assert_int_equal(addrspace_write(race.as, gpa, value, len), 0);
}

static void put_desc(u64 index, u64 addr, u32 len, u16 flags)
{
	const struct {
		u64 addr;
		u32 len;
		u16 flags, next;
	} desc = {addr, len, flags, (u16)(index + 1)};

	put(DESC, 16 * index, &desc, sizeof(desc));
}

/* A read of the second block. */
static void put_request(void)
{
	const u64 header[] = {BLK_IN, DISK_BLOCK_SECTORS}, pending = 0xee;

	put(HEADER, 0, header, sizeof(header));
	put(HEADER, AT_STATUS, &pending, 8);
	put_desc(0, HEADER << PAGE_SHIFT, sizeof(header), 1);
	put_desc(1, DATA << PAGE_SHIFT, PAGE_SIZE, 3);
	put_desc(2, (HEADER << PAGE_SHIFT) + AT_STATUS, 1, 2);
}

static u64 look(u64 gfn, u64 offset)
{
	u64 value;

	assert_int_equal(guest_read(race.s2, (gfn << PAGE_SHIFT) + offset, &value), FAULT_MAPPED);
	return value;
}

static u16 used_index(void)
{
	return (u16)(look(USED, 0) >> 16);
}

/* Every entry is chain 0; the index. */
static void offer(u64 index)
{
	assert_int_equal(guest_write(race.s2, AVAIL << PAGE_SHIFT, index << 16), FAULT_MAPPED);
}

static void notify(void)
{
	set_register(VIRTIO_NOTIFY, 2, 0);
}

/* --- World ------------------------------------------------------------------------------------ */

static void setup(void *world)
{
	struct race *r = world;

	r->notified = false;
	r->as = world_space(FRAMES);
	assert_int_equal(addrspace_set_policy(r->as, r->policy), 0);
	addrspace_set_retry(r->as, r->retry);
	for (u64 gfn = AVAIL; gfn <= DATA; gfn++)
		if (gfn != DESC)
			world_share(r->as, (const u64[]){COPY + gfn, gfn}, 2, 0);
	put_request();
	r->s2 = world_stage2(r->as);
	start_device(r);
	sim_set_cpu(1);
	device(r); /* an empty ring: the pages are cached */
	assert_int_equal(used_index(), 0);
	guest_out();
	sim_set_cpu(0);
}

static void check_request(void)
{
	assert_int_equal(look(HEADER, AT_STATUS) & 0xff, BLK_OK);
	for (u64 at = 0; at < PAGE_SIZE; at += 512)
		if (look(DATA, at) != 0x0101010101010101ull * (9 + at / 512))
			fail_msg("the data at %lu is not the disk's, after%s", (unsigned long)at,
				 sched_trace());
}

static void end(struct race *r)
{
	struct audit_report report;

	for (u64 gfn = AVAIL; gfn <= DATA; gfn++)
		for (u64 at = 0; gfn != DESC && at < 32; at += 8)
			if (look(COPY + gfn, at))
				fail_msg("the page that shared %lu has changed, after%s",
					 (unsigned long)gfn, sched_trace());
	guest_out();
	if (audit_run(0, &report))
		fail_msg("audit after%s", sched_trace());
	virtio_dma_destroy(&r->blk.device.memory);
	disk_fini(&r->blk.disk);
	stage2_destroy(r->s2);
	addrspace_destroy(r->as);
}

static void check_done(void *world)
{
	if (used_index() != 1)
		fail_msg("the request is not done, after%s", sched_trace());
	check_request();
	end(world);
}

/* --- Changes that keep the content ------------------------------------------------------------ */

static int change_migrate(struct race *r)
{
	return addrspace_migrate(r->as, (struct gfn){r->gfn});
}

static int change_reclaim(struct race *r)
{
	u64 done;

	return addrspace_reclaim(r->as, world_range(r->gfn, 1), &done);
}

static int change_protect(struct race *r)
{
	int err = cow_protect(r->as, world_range(r->gfn, 1));

	return err ? err : addrspace_clear_soft_dirty(r->as, world_range(r->gfn, 1));
}

static int change_break(struct race *r)
{
	return cow_break(r->as, (struct gfn){r->gfn});
}

static int change_merge(struct race *r)
{
	struct cow_look look;
	int err = cow_protect_look(r->as, (struct gfn){r->gfn}, &look);

	if (err)
		return err;
	sched_point("merge: looked");
	err = cow_offer(r->as, (struct gfn){r->gfn}, &look);
	if (!err)
		assert_false(frame_put(look.mfn));
	return err;
}

/* The page is given back and found again by its content: merged while the device may write. */
static int change_share_zero(struct race *r)
{
	struct cow_look look;
	struct gfn gfn = {r->gfn};
	const u64 *word;
	int err = cow_protect_look(r->as, gfn, &look);

	if (err)
		return err;
	word = arch_hpa_to_virt(mfn_to_hpa(look.mfn));
	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		if (word[i])
			return ERR_BUSY;
	sched_point("merge: compared");
	return cow_share_zero(r->as, gfn, &look);
}

static int (*const changes[])(struct race *race) = {change_migrate, change_reclaim,
						    change_protect, change_break,
						    change_merge,   change_share_zero};

static void changer(void *world)
{
	(void)race.change(world);
	(void)race.change(world);
}

static void explore(const struct sched_scenario *of, u64 drawn)
{
	static struct sim_random random;
	bool is_long = getenv("SAMEPAGE_PREEMPTIONS") != NULL;
	struct sched_scenario scenario = *of;

	scenario.world = &race;
	scenario.random = is_long ? NULL : &random;
	scenario.preemptions = is_long ? 2 : ANY;
	scenario.limit = is_long ? 0 : drawn;
	scenario.at_locks = true;
	random.state += 91;
	world_begin(4, 8);
	(void)sched_explore(&scenario);
	world_end();
}

/* --- A request against a change of one of its pages ------------------------------------------- */

static void setup_offered(void *world)
{
	setup(world);
	offer(1);
	notify();
	guest_out();
}

static void work_and_change(const struct notifier_policy *policy, enum retry_mode retry)
{
	const struct sched_scenario scenario = {
		.setup = setup_offered, .task = {changer, device}, .check = check_done};

	race.policy = policy;
	race.retry = retry;
	explore(&scenario, DRAWN);
}

static void a_request_is_done_once_whatever_happens_to_its_pages(void **state)
{
	static const u64 pages[] = {AVAIL, DESC, USED, DATA, HEADER};

	for (unsigned i = 0; i < ARRAY_SIZE(changes); i++)
		for (unsigned page = 0; page < ARRAY_SIZE(pages); page++) {
			race = (struct race){.change = changes[i], .gfn = pages[page]};
			world_each_policy(work_and_change);
		}
}

/* --- Eran's race on a ring -------------------------------------------------------------------- */
/*
 *     CPU 0: breaks the sharing        CPU 1: the driver               CPU 2: the device
 *     primary = new                    index in the new page
 *     notifies the subscribers         notifies                        reads the index: the old
 *                                                                      page's? The request is lost.
 */

static void driver(void *world)
{
	struct race *r = world;

	offer(1);
	sched_point("driver: offered");
	notify();
	r->notified = true;
	guest_out();
}

static void device_when_notified(void *world)
{
	struct race *r = world;

	while (!r->notified)
		sched_wait();
	device(world);
}

static void check_lost(void *world)
{
	struct race *r = world;

	if (used_index() == 1)
		check_request();
	else
		r->lost++;
	end(world);
}

static void breaker(void *world)
{
	struct race *r = world;

	assert_int_equal(cow_break(r->as, (struct gfn){AVAIL}), 0);
}

static u64 lost_requests(const struct notifier_policy *policy, enum retry_mode retry)
{
	const struct sched_scenario scenario = {.setup = setup,
						.task = {breaker, driver, device_when_notified},
						.check = check_lost};

	race = (struct race){.policy = policy, .retry = retry};
	explore(&scenario, POINTS);
	return race.lost;
}

static void each_named(const struct notifier_policy *policy, enum retry_mode retry)
{
	bool late = !strcmp(notifier_policy_name(policy), "late");
	u64 lost = 0;

	for (unsigned tries = 0; tries < (late ? TRIES : TRIES / 10) && !lost; tries++)
		lost += lost_requests(policy, retry);
	print_message("# %s, %s: %llu requests lost\n", notifier_policy_name(policy),
		      retry == RETRY_INPLACE ? "inplace" : "reenter", (unsigned long long)lost);
	if (late != (lost > 0))
		fail_msg("%s loses %llu requests", notifier_policy_name(policy),
			 (unsigned long long)lost);
}

static void late_loses_a_request_and_no_other_policy_does(void **state)
{
	world_each_policy(each_named);
}

static void survive(const struct notifier_policy *point, unsigned number)
{
	char text[POLICY_TEXT_MAX];

	if (notifier_policy_refusal(point) || (!point->events && point->steps))
		return;
	accepted++;
	notifier_policy_text(point, text, sizeof(text));
	if (lost_requests(point, number % 2 ? RETRY_INPLACE : RETRY_REENTER))
		fail_msg("%s loses a request", text);
}

static void no_accepted_point_loses_a_request(void **state)
{
	accepted = 0;
	(void)world_each_point(POLICY_EVENTS_NONE, survive);
	(void)world_each_point(POLICY_EVENTS_PAGE, survive);
	print_message("# %u points\n", accepted);
	assert_true(accepted > 50);
}

/* --- The driver adds while the device arms ---------------------------------------------------- */

#define AVAIL_EVENT 36u /* in the used ring of four entries: the upper half of a word */

/* By the event index: it notifies if the device has armed itself for the second entry. */
static void adder(void *world)
{
	offer(2);
	sched_point("driver: added");
	if ((u16)(look(USED, AVAIL_EVENT - 4) >> 32) == 1)
		notify();
	guest_out();
}

static void check_two(void *world)
{
	device(world);
	if (used_index() != 2)
		fail_msg("the second request is not seen, after%s", sched_trace());
	end(world);
}

static void a_request_that_is_added_while_the_device_arms_is_seen(void **state)
{
	/* To the driver and back, at every point of the device. */
	const struct sched_scenario scenario = {.setup = setup_offered,
						.task = {device, adder},
						.check = check_two,
						.world = &race,
						.preemptions = 2,
						.at_locks = true};

	race = (struct race){.policy = notifier_policy(0), .features = VIRTIO_F_EVENT_IDX};
	world_begin(4, 8);
	(void)sched_explore(&scenario);
	world_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_done_once_whatever_happens_to_its_pages),
		cmocka_unit_test(late_loses_a_request_and_no_other_policy_does),
		cmocka_unit_test(no_accepted_point_loses_a_request),
		cmocka_unit_test(a_request_that_is_added_while_the_device_arms_is_seen),
	};

	for (unsigned i = 0; i < IMAGE; i++)
		image[i] = (u8)(1 + i / 512);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
