/* The memory map of virt. */
#ifndef BOARDS_VIRT_MMU_H
#define BOARDS_VIRT_MMU_H

/* Turns the MMU and the caches on with a flat map: NOR executable and read-only, RAM never executable, devices uncached,
 * page 0 and everything else unmapped. Once, before anything that wants unaligned access. */
void mmu_start(void);

#endif
