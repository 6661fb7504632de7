# SPDX-License-Identifier: Apache-2.0
#
# The tests of hv's parts that need no guest: parsers, policies, device models, the scheduler.
function(samepage_hv_test name)
  list(TRANSFORM ARGN PREPEND ${CMAKE_SOURCE_DIR}/hv/)
  samepage_unit_test(hv_${name} test_hv_${name}.c ${ARGN})
endfunction()

samepage_hv_test(config config.c)
samepage_hv_test(elf elf.c)
samepage_hv_test(cpuid cpuid.c)
samepage_hv_test(msr msr_policy.c)
samepage_hv_test(uart uart.c)
samepage_hv_test(console console.c)
samepage_hv_test(gva gva.c)
samepage_hv_test(sched sched.c)
samepage_hv_test(pic pic.c)
samepage_hv_test(pit pit.c)
samepage_hv_test(rtc rtc.c)
samepage_hv_test(apic lapic.c ioapic.c)
samepage_hv_test(mmio mmio_compute.c)
samepage_hv_test(bzimage bzimage.c elf.c)
samepage_hv_test(acpi acpi.c)
samepage_hv_test(terminal terminal.c console.c uart.c)
