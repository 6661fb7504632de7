# SPDX-License-Identifier: Apache-2.0
# hello.sh: says what kernel and machine it is on.
kib=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
echo "hello from Linux $(uname -r): $(nproc) CPU(s), $((kib / 1024)) MiB, clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
echo "date $(date -u +%Y-%m-%dT%H:%M)"
