# SPDX-License-Identifier: Apache-2.0
#
# Page-table formats and the walker.
samepage_unit_test(pgtable test_pgtable.c fake_format.c)

set(walk_sources walk_world.c walk_model.c walk_ops.c fake_format.c)
samepage_unit_test(walk test_walk.c ${walk_sources})
samepage_unit_test(walk_visit test_walk_visit.c ${walk_sources})
samepage_unit_test(walk_model test_walk_model.c ${walk_sources})
samepage_unit_test(walk_history test_walk_history.c ${walk_sources})
samepage_unit_test(walk_fail test_walk_fail.c ${walk_sources})
samepage_unit_test(walk_dirty test_walk_dirty.c ${walk_sources})
