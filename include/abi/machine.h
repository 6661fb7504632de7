/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h: the machine a guest finds: ports, CPUID leaves and MSRs of Samepage's own.
 */
#ifndef SAMEPAGE_ABI_MACHINE_H
#define SAMEPAGE_ABI_MACHINE_H

/*
 * CPUID 40000000h: EAX the last leaf of the range, EBX ECX EDX the signature. 40000001h: EAX the
 * version of the hypercall interface, EBX the number of calls, ECX this vCPU, EDX vCPUs of the VM.
 */
#define MACHINE_CPUID_SIGNATURE	 0x40000000
#define MACHINE_CPUID_HYPERCALLS 0x40000001u
#define MACHINE_CPUID_TIMING	 0x40000010u /* EAX, EBX: kHz of the TSC and of the APIC timer */
#define MACHINE_SIGNATURE	 "SamepageHv\0\0"
#define MACHINE_VERSION		 1u

/* Keeps what a vCPU writes to it and does nothing else: for tests and for measuring an MSR exit. */
#define MACHINE_MSR_SCRATCH 0x40000000

#define MACHINE_PORT_UART    0x3f8 /* a 16550A, eight ports: this VM's console */
#define MACHINE_PORT_CONSOLE 0xe9  /* a byte written goes to the console too; reads 0xe9 */
#define MACHINE_PORT_EXIT    0xf4  /* a value written ends the VM with it as status */
#define MACHINE_PORT_POST    0x80  /* takes anything, does nothing: firmware's delay port */

/* Where a type=real image is loaded and entered, CS:IP 0000:7c00, as a boot sector is. */
#define MACHINE_REAL_ENTRY 0x7c00u

/*
 * RAM is [0, HOLE_START), then from HOLE_END on; what does not lie below DEVICES_START begins at
 * DEVICES_END. Between them there is nothing, or the board's devices.
 */
#define MACHINE_HOLE_START    0xa0000u
#define MACHINE_HOLE_END      0x100000u
#define MACHINE_DEVICES_START 0xc0000000u
#define MACHINE_DEVICES_END   0x100000000ull

#endif
