/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task.h: a task switch by hardware (SDM vol. 3A, chapter 8), which VT-x leaves to the hypervisor.
 */
#ifndef SAMEPAGE_HV_TASK_H
#define SAMEPAGE_HV_TASK_H

#include <arch/exit.h>
#include <hv/verdict.h>

struct vcpu;

/* The handler of HV_EXIT_TASK_SWITCH (exits.h). */
enum exit_verdict exit_task_switch(struct vcpu *vcpu, const struct hv_exit *exit);

#endif
