# SPDX-License-Identifier: Apache-2.0
#
# The tests of lib.
samepage_unit_test(format test_format.c)
samepage_unit_test(log test_log.c)

# lib/string.c beside libc's, its functions renamed; -fno-builtin as on the machine.
add_library(own_string OBJECT ${CMAKE_SOURCE_DIR}/lib/string.c)
target_link_libraries(own_string PRIVATE samepage_host)
target_compile_options(own_string PRIVATE -fno-builtin
  "SHELL:-include ${CMAKE_CURRENT_SOURCE_DIR}/own_string.h")
samepage_unit_test(string test_string.c)
target_link_libraries(test_string PRIVATE own_string)
