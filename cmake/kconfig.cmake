# SPDX-License-Identifier: Apache-2.0
#
# kconfig.cmake: Kconfig's values as CMake variables and as a C header; docs/build.md has the
# details.
#
#   cmake --preset default -DSAMEPAGE_DEFCONFIG=debug  start again from configs/debug_defconfig
#   cmake --preset default -DCONFIG_MAX_CPUS=4         change one value of the .config that is there
#   cmake --build build -t menuconfig | savedefconfig
#
# Afterwards CONFIG_X is a CMake variable for each symbol that is set, and SAMEPAGE_KCONFIG holds
# the folder made.

# The system's python first: a shim in PATH costs more than a compilation of a small file.
find_program(SAMEPAGE_PYTHON python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(SAMEPAGE_PYTHON python3 REQUIRED)

set(SAMEPAGE_DEFCONFIG qemu CACHE STRING "The file configs/NAME_defconfig a new build starts from")
set(SAMEPAGE_KCONFIG ${CMAKE_BINARY_DIR}/kconfig)
set(kconfig_script ${CMAKE_SOURCE_DIR}/scripts/kconfig.py)
set(kconfig_defconfig ${CMAKE_SOURCE_DIR}/configs/${SAMEPAGE_DEFCONFIG}_defconfig)
set(kconfig_autoconf ${SAMEPAGE_KCONFIG}/include/generated/autoconf.h)

# A refused value leaves the cache, so that the next configuration does not fail by it.
if(NOT EXISTS ${kconfig_defconfig})
  set(refused ${SAMEPAGE_DEFCONFIG})
  unset(SAMEPAGE_DEFCONFIG CACHE)
  message(FATAL_ERROR "SAMEPAGE_DEFCONFIG=${refused}: there is no ${kconfig_defconfig}")
endif()

# A -DCONFIG_X=value goes into .config once and leaves the cache, so that .config alone says what
# the values are.
set(kconfig_settings)
get_cmake_property(kconfig_cached CACHE_VARIABLES)
foreach(name IN LISTS kconfig_cached)
  if(name MATCHES "^CONFIG_")
    list(APPEND kconfig_settings "${name}=${${name}}")
    unset(${name} CACHE)
  endif()
endforeach()

set(kconfig_start --keep)
if(NOT EXISTS ${SAMEPAGE_KCONFIG}/.config
   OR NOT "${SAMEPAGE_DEFCONFIG}" STREQUAL "${SAMEPAGE_DEFCONFIG_USED}")
  set(kconfig_start --defconfig ${kconfig_defconfig})
endif()

execute_process(
  COMMAND ${SAMEPAGE_PYTHON} ${kconfig_script} --source ${CMAKE_SOURCE_DIR}
          --work ${SAMEPAGE_KCONFIG} ${kconfig_start} ${kconfig_settings}
  RESULT_VARIABLE kconfig_result ERROR_VARIABLE kconfig_error TIMEOUT 120)
if(NOT kconfig_result EQUAL 0)
  string(STRIP "${kconfig_error}" kconfig_error)
  message(FATAL_ERROR "${kconfig_error}")
elseif(kconfig_error)
  message(WARNING "${kconfig_error}")
endif()
set(SAMEPAGE_DEFCONFIG_USED ${SAMEPAGE_DEFCONFIG}
    CACHE INTERNAL "The defconfig that .config was made from")

file(STRINGS ${SAMEPAGE_KCONFIG}/include/config/auto.conf kconfig_lines REGEX "^CONFIG_")
foreach(line IN LISTS kconfig_lines)
  string(REGEX MATCH "^(CONFIG_[A-Z0-9_]+)=\"?([^\"]*)" matched "${line}")
  set(${CMAKE_MATCH_1} "${CMAKE_MATCH_2}")
endforeach()

set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${CMAKE_SOURCE_DIR}/Kconfig ${kconfig_script} ${SAMEPAGE_KCONFIG}/.config)

# Everything sees autoconf.h; scripts/fixdep.py keeps each object's dependencies to the symbols its
# sources name.
add_compile_options(-include ${kconfig_autoconf})
set(fixdep "\"${SAMEPAGE_PYTHON}\" -IS \"${CMAKE_SOURCE_DIR}/scripts/fixdep.py\"")
set_property(GLOBAL PROPERTY RULE_LAUNCH_COMPILE
  "${fixdep} \"${SAMEPAGE_KCONFIG}/include/config\"")

set(kconfig_environment srctree=${CMAKE_SOURCE_DIR} KCONFIG_CONFIG=${SAMEPAGE_KCONFIG}/.config)
add_custom_target(menuconfig
  COMMAND ${CMAKE_COMMAND} -E env ${kconfig_environment} kconfig-mconf ${CMAKE_SOURCE_DIR}/Kconfig
  WORKING_DIRECTORY ${SAMEPAGE_KCONFIG} USES_TERMINAL VERBATIM)
add_custom_target(savedefconfig
  COMMAND ${SAMEPAGE_PYTHON} ${kconfig_script} --source ${CMAKE_SOURCE_DIR}
          --work ${SAMEPAGE_KCONFIG} --save ${CMAKE_BINARY_DIR}/defconfig
  COMMENT "Writing ${CMAKE_BINARY_DIR}/defconfig" VERBATIM)
