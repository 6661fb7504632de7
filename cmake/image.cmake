# SPDX-License-Identifier: Apache-2.0
#
# image.cmake: the last step, from the rooms' objects to samepage.elf and samepage.elf32.
#
#   rooms + empty table -link-> 1.elf -nm-> table -link-> 2.elf -nm-> table -link-> samepage.elf
#
# scripts/ksyms.py says why three links. samepage.elf32 is the same image in the form qemu -kernel
# takes. The linker drops sections that are not reached.

get_property(rooms GLOBAL PROPERTY SAMEPAGE_ROOMS)
list(REMOVE_ITEM rooms guest)
set(linker_script ${CMAKE_SOURCE_DIR}/linker.ld)
set(ksyms ${SAMEPAGE_PYTHON} ${CMAKE_SOURCE_DIR}/scripts/ksyms.py --nm ${CMAKE_NM})

# One link: TARGET from all rooms and the symbol table made from IMAGE (none: the empty table).
function(samepage_link target image)
  set(table ${CMAKE_CURRENT_BINARY_DIR}/${target}.ksyms.S)
  add_custom_command(OUTPUT ${table}
    COMMAND ${ksyms} ${image} > ${table}
    DEPENDS ${CMAKE_SOURCE_DIR}/scripts/ksyms.py ${image} VERBATIM)
  add_executable(${target} ${table})
  foreach(room IN LISTS rooms)
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${room}>)
  endforeach()
  target_link_options(${target} PRIVATE -nostdlib -static -no-pie -Wl,-T,${linker_script}
    -Wl,--build-id=none -Wl,-Map=${CMAKE_CURRENT_BINARY_DIR}/${target}.map
    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--gc-sections -Wl,--fatal-warnings)
  set_target_properties(${target} PROPERTIES LINK_DEPENDS ${linker_script})
endfunction()

samepage_link(samepage.1.elf "")
samepage_link(samepage.2.elf ${CMAKE_CURRENT_BINARY_DIR}/samepage.1.elf)
samepage_link(samepage.elf ${CMAKE_CURRENT_BINARY_DIR}/samepage.2.elf)
add_custom_command(TARGET samepage.elf POST_BUILD
  COMMAND ${ksyms} --verify ${CMAKE_CURRENT_BINARY_DIR}/samepage.elf.ksyms.S
          $<TARGET_FILE:samepage.elf> VERBATIM)

add_custom_command(OUTPUT samepage.elf32
  COMMAND ${CMAKE_OBJCOPY} -O elf32-i386 $<TARGET_FILE:samepage.elf> samepage.elf32
  DEPENDS samepage.elf VERBATIM)
add_custom_target(samepage ALL DEPENDS samepage.elf32)
