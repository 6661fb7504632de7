# SPDX-License-Identifier: Apache-2.0
#
# The pure parts of the VMX back end: what runs no VMX instruction.
set(vmx ${CMAKE_SOURCE_DIR}/arch/x86/vmx)

samepage_unit_test(vmx_caps test_vmx_caps.c ${vmx}/caps.c)
samepage_unit_test(vmx_check test_vmx_check.c ${vmx}/check.c)
samepage_unit_test(vmx_decode test_vmx_decode.c ${vmx}/decode.c ${vmx}/bitmap.c
  ${CMAKE_SOURCE_DIR}/arch/x86/msr_policy.c)
foreach(test vmx_caps vmx_check vmx_decode)
  target_include_directories(test_${test} PRIVATE ${vmx} ${CMAKE_SOURCE_DIR}/arch/x86/include)
endforeach()
