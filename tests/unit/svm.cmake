# SPDX-License-Identifier: Apache-2.0
#
# The AMD-V back end, less what only a CPU can do: entry.S and turning SVM on.
set(svm_sources asid cr dump event exit insn intercept permmap run state vcpu)
list(TRANSFORM svm_sources PREPEND ${CMAKE_SOURCE_DIR}/arch/x86/svm/)
list(TRANSFORM svm_sources APPEND .c)

foreach(part asid exit event state)
  samepage_unit_test(svm_${part} test_svm_${part}.c svm_world.c ${svm_sources})
  target_include_directories(test_svm_${part} PRIVATE ${CMAKE_SOURCE_DIR}/arch/x86/include)
endforeach()
