# SPDX-License-Identifier: Apache-2.0
#
# samepage.gdb: connects to the machine that ./run --gdb started, and a few commands for a
# hypervisor.
#
#     gdb -x scripts/gdb/samepage.gdb build/samepage.elf     in the root of the tree, for the sources
#
# Breakpoints are hardware breakpoints until the image is in memory: sp-start goes to boot_main,
# from there on `break` works.

set pagination off
set confirm off
set print pretty on
set architecture i386:x86-64

define sp-help
  printf "sp-start      run to boot_main()\n"
  printf "sp-panic      stop at the next panic or failed CHECK()\n"
  printf "sp-cpus       each CPU that is up: its APIC, kicked or not, interrupts and NMIs taken\n"
  printf "sp-vms        each VM: its state, memory, vCPUs\n"
  printf "sp-walk TABLE ADDRESS    the entries of a four-level table on the way to an address\n"
end
document sp-help
Lists the commands of samepage.gdb.
end

define sp-start
  thbreak boot_main
  continue
end
document sp-start
Runs to boot_main(), the first C code of the hypervisor.
end

define sp-panic
  hbreak panic
  hbreak check_failed
end
document sp-panic
Stops at the next panic() or failed CHECK(), before it prints.
end

define sp-cpus
  set $cpu = 0
  while $cpu < sizeof(percpu_area) / sizeof(percpu_area[0])
    if percpu_area[$cpu].self != 0
      printf "cpu%d apic %d: kicked %d interrupts %lu nmis %lu\n", percpu_area[$cpu].id, percpu_area[$cpu].apic_id, \
        percpu_area[$cpu].kicked, percpu_area[$cpu].interrupts, percpu_area[$cpu].nmis
    end
    set $cpu = $cpu + 1
  end
end
document sp-cpus
Prints the record of each CPU that is up.
end

define sp-vms
  set $vm = 0
  while $vm < vm_count
    printf "%s: ", vms[$vm]->config.name
    output (enum vm_state)vms[$vm]->state
    printf ", %lu KiB, %d vCPUs, %d awake\n", vms[$vm]->config.memory >> 10, vms[$vm]->config.vcpus, vms[$vm]->awake
    set $vm = $vm + 1
  end
end
document sp-vms
Prints each VM with its state.
end

define sp-walk
  set $table = (unsigned long)$arg0
  set $shift = 39
  while $shift >= 12
    set $index = ((unsigned long)$arg1 >> $shift) & 511
    set $entry = *(unsigned long *)(0xffff800000000000 + $table + 8 * $index)
    printf "level %d: entry %3d of 0x%lx: 0x%016lx\n", ($shift - 12) / 9, $index, $table, $entry
    set $table = $entry & 0x000ffffffffff000
    set $shift = $shift - 9
    if ($entry & 7) == 0 || ($shift >= 12 && ($entry & 0x80))
      set $shift = 0
    end
  end
end
document sp-walk
sp-walk TABLE ADDRESS: walks a four-level table (machine address of its root: CR3, an EPT or an NPT root) through the
direct map, down to the leaf or the first absent entry.
end

target remote localhost:1234
echo Type sp-help for the commands; sp-start goes to the first C code.\n
