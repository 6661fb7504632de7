# SPDX-License-Identifier: Apache-2.0
#
# The auditor.
samepage_unit_test(audit test_audit.c)
