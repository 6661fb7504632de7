# SPDX-License-Identifier: Apache-2.0
#
# The frame allocator.
samepage_unit_test(frame test_frame.c frame_check.c)
samepage_unit_test(frame_init test_frame_init.c frame_check.c)
samepage_unit_test(frame_model test_frame_model.c frame_check.c)
