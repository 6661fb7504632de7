# SPDX-License-Identifier: Apache-2.0
# clock.sh: the clock's driver, rtc_cmos: reads the time, and sleeps until an alarm on IRQ 8.
rtc=/sys/class/rtc/rtc0
alarms() {
	awk '/rtc/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) sum += $i; print sum + 0 }' \
		/proc/interrupts
}
echo "clock: $(cat $rtc/name), IRQ $(awk -F: '/rtc/ { print $1 + 0 }' /proc/interrupts)"
before=$(alarms)
begun=$(cat $rtc/since_epoch)
[ $(($(date +%s) - begun)) -le 2 ] && echo "clock: it shows the system's time"
for turn in 1 2; do
	echo 0 >$rtc/wakealarm
	echo +2 >$rtc/wakealarm
	while [ -n "$(cat $rtc/wakealarm)" ]; do sleep 0.1; done
	[ $(($(cat $rtc/since_epoch) - begun)) -ge $((2 * turn)) ] && echo "clock: alarm $turn came"
done
echo "clock: $(($(alarms) - before)) interrupts"
hwclock -w -u && hwclock -r -u >/dev/null && echo "clock: set and read by hwclock"
