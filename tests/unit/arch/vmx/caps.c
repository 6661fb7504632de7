/* SPDX-License-Identifier: Apache-2.0 */
/*
 * caps.c: which CPUs the VMX back end takes, and what it makes of their capability MSRs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "caps.h"
#include <string.h>

/* The reserved bits that must be 1 on every CPU with true controls, SDM A.3 to A.5. */
static const u32 must[VMX_WORDS] = {0x16, 0x04006172, 0, 0x00036dfb, 0x000011fb};

static struct vmx_capability full(void)
{
	struct vmx_capability cap = {
		.basic = BASIC_TRUE_CONTROLS | 0x2b,
		.misc = 5,
		.ept = ~0ull,
	};

	for (unsigned w = 0; w < VMX_WORDS; w++)
		cap.allowed[w] = 0xffffffff00000000 | must[w];
	return cap;
}

static void a_cpu_with_everything_is_taken(void **state)
{
	struct vmx_capability cap = full();
	struct vmx_caps caps;
	const char *why = NULL;

	assert_true(vmx_select(&cap, &caps, &why));
	assert_null(why);
	assert_int_equal(caps.revision, 0x2b);
	assert_int_equal(caps.timer_shift, 5);
	assert_true(caps.ept_ad && caps.pml && caps.invept_one);
	for (unsigned w = 0; w < VMX_WORDS; w++)
		assert_int_equal(caps.control[w] & must[w], must[w]);
	/* What a guest may do by itself, and what only pml_enable and the windows turn on. */
	assert_int_equal(caps.control[PRIMARY] & (PRIMARY_CR3_LOAD | PRIMARY_CR3_STORE |
						  PRIMARY_IRQ_WINDOW | PRIMARY_NMI_WINDOW),
			 0);
	assert_int_equal(caps.control[SECONDARY] & SECONDARY_PML, 0);
	assert_int_equal(caps.control[ON_ENTRY] & ON_ENTRY_GUEST_64, 0);
}

/* Takes each control away in turn: the CPU is refused with a message, or works without it. */
static void a_missing_control_is_refused_by_name_or_not_used(void **state)
{
	struct vmx_caps all, some;
	const char *why = NULL;
	unsigned refused = 0, dropped = 0;

	for (unsigned w = 0; w < VMX_WORDS; w++) {
		struct vmx_capability cap = full();

		assert_true(vmx_select(&cap, &all, &why));
		for (unsigned bit = 0; bit < 32; bit++) {
			u32 mask = 1u << bit;

			if (!(all.control[w] & ~must[w] & mask))
				continue;
			cap = full();
			cap.allowed[w] &= ~((u64)mask << 32);
			why = NULL;
			if (vmx_select(&cap, &some, &why)) {
				assert_false(some.control[w] & mask);
				dropped++;
				continue;
			}
			assert_non_null(why);
			assert_non_null(strstr(why, "VMX control missing: "));
			refused++;
		}
	}
	assert_int_equal(dropped, 3);  /* WBINVD, RDTSCP, PAUSE loops */
	assert_int_equal(refused, 28); /* all the others */
}

static void a_cpu_without_true_controls_is_refused(void **state)
{
	struct vmx_capability cap = full();
	struct vmx_caps caps;
	const char *why = NULL;

	cap.basic &= ~BASIC_TRUE_CONTROLS;
	assert_false(vmx_select(&cap, &caps, &why));
	assert_non_null(strstr(why, "true capability"));
}

/* VMX-7. */
static void a_control_that_must_be_on_and_is_unknown_is_refused(void **state)
{
	struct vmx_capability cap = full();
	struct vmx_caps caps;
	const char *why = NULL;

	cap.allowed[PRIMARY] |= PRIMARY_CR3_LOAD;
	assert_false(vmx_select(&cap, &caps, &why));
	assert_non_null(strstr(why, "insists"));
}

static void each_needed_ept_feature_is_missed(void **state)
{
	static const u64 needed[] = {EPT_CAP_WALK_4,  EPT_CAP_WB,	  EPT_CAP_2M,
				     EPT_CAP_1G,      EPT_CAP_INVEPT,	  EPT_CAP_INVEPT_ALL,
				     EPT_CAP_INVVPID, EPT_CAP_INVVPID_ONE};

	for (unsigned i = 0; i < ARRAY_SIZE(needed); i++) {
		struct vmx_capability cap = full();
		struct vmx_caps caps;
		const char *why = NULL;

		cap.ept &= ~needed[i];
		assert_false(vmx_select(&cap, &caps, &why));
		assert_non_null(why);
	}
}

static void pml_needs_dirty_bits(void **state)
{
	struct vmx_capability cap = full();
	struct vmx_caps caps;
	const char *why = NULL;

	cap.ept &= ~EPT_CAP_AD;
	assert_true(vmx_select(&cap, &caps, &why));
	assert_false(caps.ept_ad || caps.pml);
	cap = full();
	cap.allowed[SECONDARY] &= ~((u64)SECONDARY_PML << 32);
	assert_true(vmx_select(&cap, &caps, &why));
	assert_true(caps.ept_ad && !caps.pml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cpu_with_everything_is_taken),
		cmocka_unit_test(a_missing_control_is_refused_by_name_or_not_used),
		cmocka_unit_test(a_cpu_without_true_controls_is_refused),
		cmocka_unit_test(a_control_that_must_be_on_and_is_unknown_is_refused),
		cmocka_unit_test(each_needed_ept_feature_is_missed),
		cmocka_unit_test(pml_needs_dirty_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
