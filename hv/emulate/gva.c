/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gva.c: one walk for all paging modes of a guest; a mode is a row of data.
 *
 *     mode        levels  bits a level  entry   large pages
 *     32-bit      2       10            4       4 MiB (CR4.PSE)
 *     PAE         3       9 (top: 2)    8       2 MiB
 *     long mode   4       9             8       2 MiB, 1 GiB
 */
#include <hv/gva.h>
#include <arch/regs.h>
#include <hv/vm.h>
#include <hv/vm_memory.h>
#include <lib/error.h>

#define ENTRY_PRESENT  BIT(0)
#define ENTRY_WRITE    BIT(1)
#define ENTRY_USER     BIT(2)
#define ENTRY_ACCESSED BIT(5)
#define ENTRY_DIRTY    BIT(6)
#define ENTRY_LARGE    BIT(7)
#define TRIES	       64 /* while another vCPU changes an entry */

/*
 * large: bit n: an entry of level n may map memory itself. address: the address bits of an entry.
 */
struct paging_mode {
	u8 levels, bits, entry_size, large;
	u64 address;
	bool top_has_no_rights; /* PAE's PDPTEs */
};

static const struct paging_mode mode_32 = {2, 10, 4, 0, BITS(31, 12), false};
static const struct paging_mode mode_32_pse = {2, 10, 4, 1 << 1, BITS(31, 12), false};
static const struct paging_mode mode_pae = {3, 9, 8, 1 << 1, BITS(51, 12), true};
static const struct paging_mode mode_long = {4, 9, 8, 1 << 1 | 1 << 2, BITS(51, 12), false};

static const struct paging_mode *mode_of(const struct guest_state *state)
{
	if (state->efer & EFER_LMA)
		return &mode_long;
	if (state->cr4 & CR4_PAE)
		return &mode_pae;
	return state->cr4 & CR4_PSE ? &mode_32_pse : &mode_32;
}

static unsigned rights_of(u64 entry)
{
	return HV_READ | (entry & ENTRY_WRITE ? HV_WRITE : 0) | (entry & ENTRY_USER ? GVA_USER : 0);
}

/* A 4 MiB entry keeps address bits 39:32 in its bits 20:13 (SDM vol. 3A, table 4-4). */
static u64 leaf_base(const struct paging_mode *mode, u64 entry, unsigned shift)
{
	if (mode->entry_size == 4 && shift > PAGE_SHIFT)
		return (entry & BITS(31, 22)) | (entry & BITS(20, 13)) << 19;
	return entry & mode->address & ~(BIT(shift) - 1);
}

static void note_entry(struct gva_path *path, struct gpa at, u64 entry)
{
	if (!path)
		return;
	path->entry[path->count] = at;
	path->value[path->count++] = entry;
}

int gva_walk(const struct guest_state *state, gva_read read, void *context, struct gva gva,
	     struct gpa *out, unsigned *allowed, struct gva_path *path)
{
	const struct paging_mode *mode = mode_of(state);
	u64 table = state->cr3 & (mode == &mode_pae ? BITS(31, 5) : mode->address);

	*allowed = HV_READ | HV_WRITE | GVA_USER;
	*out = (struct gpa){(u32)gva.raw};
	if (path)
		*path = (struct gva_path){.entry_size = mode->entry_size};
	if (!(state->cr0 & CR0_PG))
		return 0;
	for (unsigned level = mode->levels; level-- > 0;) {
		unsigned shift = PAGE_SHIFT + mode->bits * level;
		u64 index = gva.raw >> shift & (BIT(mode->bits) - 1), entry = 0;
		int err = read(context, (struct gpa){table + index * mode->entry_size}, &entry,
			       mode->entry_size);

		if (err != 0)
			return err;
		if (!(entry & ENTRY_PRESENT))
			return ERR_NOT_FOUND;
		if (!(mode->top_has_no_rights && level == mode->levels - 1u)) {
			*allowed &= rights_of(entry);
			note_entry(path, (struct gpa){table + index * mode->entry_size}, entry);
		}
		if (level == 0 || ((mode->large >> level & 1) && (entry & ENTRY_LARGE))) {
			out->raw = leaf_base(mode, entry, shift) | (gva.raw & (BIT(shift) - 1));
			return 0;
		}
		table = entry & mode->address;
	}
	return ERR_NOT_FOUND;
}

static int read_guest(void *vm, struct gpa from, void *to, size_t len)
{
	return vm_read_memory(vm, from, to, len);
}

/* changed: an entry is another one since the walk. An entry in ROM stays as it is. */
static int mark_path(struct vm *vm, const struct gva_path *path, bool write, bool *changed)
{
	*changed = false;
	for (unsigned i = 0; i < path->count && !*changed; i++) {
		bool last = i == path->count - 1, swapped = true;
		u64 old = path->value[i];
		u64 new = old | ENTRY_ACCESSED | (write && last ? ENTRY_DIRTY : 0);
		int err = 0;

		if (new != old)
			err = vm_swap_memory(vm, path->entry[i], path->entry_size, old, new,
					     &swapped);
		if (err && err != ERR_PERMISSION)
			return err;
		*changed = !err && !swapped;
	}
	return 0;
}

int gva_access(struct vm *vm, const struct guest_state *state, struct gva gva, unsigned needed,
	       bool write, struct gpa *out, unsigned *allowed)
{
	struct gva_path path;
	unsigned tries = 0;
	bool changed;
	int err;

	do {
		err = gva_walk(state, read_guest, vm, gva, out, allowed, &path);
		if (err || (*allowed & needed) != needed)
			return err;
		err = mark_path(vm, &path, write, &changed);
	} while (!err && changed && ++tries < TRIES);
	return err;
}

unsigned vcpu_fetch(struct arch_vcpu *arch, struct gva linear, void *bytes, unsigned len)
{
	struct vcpu *vcpu = container_of(arch, struct vcpu, arch);
	struct guest_state state;
	unsigned done = 0;

	virt->get_state(arch, &state);
	while (done < len) {
		struct gva at = {linear.raw + done};
		unsigned chunk = MIN(len - done, (unsigned)(PAGE_SIZE - page_offset(at.raw)));
		unsigned allowed;
		struct gpa gpa;

		if (gva_walk(&state, read_guest, vcpu->vm, at, &gpa, &allowed, NULL) != 0 ||
		    vm_read_memory(vcpu->vm, gpa, (u8 *)bytes + done, chunk) != 0)
			break;
		done += chunk;
	}
	return done;
}
