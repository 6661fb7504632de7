# SPDX-License-Identifier: Apache-2.0
# replug.sh: takes the second CPU out and brings it back, three times; it is restarted by INIT and SIPI.
online=/sys/devices/system/cpu/cpu1/online
for turn in 1 2 3; do
	echo 0 >$online
	echo "turn $turn: $(nproc) CPU(s)"
	echo 1 >$online
	echo "turn $turn: $(nproc) CPU(s) again"
done
