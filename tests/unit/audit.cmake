# SPDX-License-Identifier: Apache-2.0
#
# The auditor, and random operations that it watches.
samepage_unit_test(audit test_audit.c)
samepage_unit_test(stage2_model test_stage2_model.c space_model.c)
samepage_unit_test(stage2_history test_stage2_history.c space_model.c)
