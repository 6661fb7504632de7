# SPDX-License-Identifier: Apache-2.0
#
# Address spaces, stage 2, faults, the notifier, sharing. Interleavings: spin_lock goes through explore.c.
function(samepage_mm_test name)
  samepage_unit_test(${name} test_${name}.c mm_world.c explore.c ${ARGN})
  target_link_options(test_${name} PRIVATE -Wl,--wrap=spin_lock)
endfunction()

samepage_mm_test(mm_space)
samepage_mm_test(mm_eran)
samepage_mm_test(mm_model)
samepage_mm_test(mm_policy)
samepage_mm_test(mm_notifier)
samepage_mm_test(mm_race)
samepage_unit_test(mm_invalidate test_mm_invalidate.c)
samepage_mm_test(mm_memory)
samepage_mm_test(mm_reclaim)
samepage_mm_test(mm_device)
samepage_mm_test(mm_dirty)
samepage_mm_test(merge)
samepage_mm_test(merge_race)
samepage_mm_test(merge_guests)
samepage_mm_test(merge_memory)
samepage_mm_test(merge_wish)
