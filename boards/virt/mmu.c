/* ARMv7-A short-descriptor tables (architecture manual, B3.5): sections of 1 MiB, and pages for the first one. */
#include "boards/virt/mmu.h"

#include <stdint.h>

#include "board/board_config.h"

#define MIB 0x100000u
#define PAGE_BYTES 0x1000u
#define L1_ENTRIES 2048u /* TTBCR.N = 1: TTBR0 maps the lower 2 GiB, the upper ones fault */
#define L2_ENTRIES 256u
#define TTBCR_N1_PD1 (1u | 1u << 5)

#define SECTION 2u
#define SECTION_XN (1u << 4)
#define SECTION_RW (1u << 10)
#define SECTION_RO (1u << 15 | 1u << 10)
#define SECTION_NORMAL (1u << 12 | 1u << 3 | 1u << 2 | 1u << 16) /* write-back, write-allocate, shareable */
#define SECTION_DEVICE (1u << 2)
#define TABLE 1u
#define PAGE_CODE (2u | 1u << 9 | 1u << 4 | 1u << 6 | 1u << 3 | 1u << 2 | 1u << 10) /* read-only, normal, as above */

#define SCTLR_M (1u << 0)
#define SCTLR_A (1u << 1)
#define SCTLR_C (1u << 2)
#define SCTLR_Z (1u << 11)
#define SCTLR_I (1u << 12)

static uint32_t l1[L1_ENTRIES] __attribute__((aligned(L1_ENTRIES * 4)));
static uint32_t l2[L2_ENTRIES] __attribute__((aligned(L2_ENTRIES * 4)));

static void map_sections(uint32_t base, uint32_t bytes, uint32_t attributes)
{
    for (uint32_t at = base; at < base + bytes; at += MIB)
        l1[at / MIB] = at | SECTION | attributes;
}

static void fill_tables(void)
{
    map_sections(0, FLASH_BASE, SECTION_NORMAL | SECTION_RO);
    map_sections(FLASH_BASE, FLASH_BYTES, SECTION_DEVICE | SECTION_RW | SECTION_XN);
    map_sections(GICD_BASE, 0x03000000, SECTION_DEVICE | SECTION_RW | SECTION_XN); /* up to the virtio slots */
    map_sections(WATCHDOG_PCI_ADDRESS, MIB, SECTION_DEVICE | SECTION_RW | SECTION_XN);
    map_sections(PCI_ECAM_BASE, MIB, SECTION_DEVICE | SECTION_RW | SECTION_XN);
    map_sections(RAM_BASE, RAM_BYTES, SECTION_NORMAL | SECTION_RW | SECTION_XN);
    for (uint32_t page = 1; page < L2_ENTRIES; page++)
        l2[page] = page * PAGE_BYTES | PAGE_CODE;
    l1[0] = (uint32_t)l2 | TABLE;
}

void mmu_start(void)
{
    uint32_t sctlr;
    fill_tables();
    __asm__ volatile("dsb\n"
                     "mcr p15, 0, %0, c8, c7, 0\n" /* TLBs */
                     "mcr p15, 0, %0, c7, c5, 0\n" /* instruction cache */
                     "mcr p15, 0, %0, c7, c5, 6\n" /* branch predictor */
                     "mcr p15, 0, %1, c3, c0, 0\n" /* domain 0: client */
                     "mcr p15, 0, %2, c2, c0, 2\n" /* TTBCR */
                     "mcr p15, 0, %3, c2, c0, 0\n" /* TTBR0 */
                     "dsb\n isb"
                     :
                     : "r"(0), "r"(1), "r"(TTBCR_N1_PD1), "r"(l1)
                     : "memory");
    __asm__ volatile("mrc p15, 0, %0, c1, c0, 0" : "=r"(sctlr));
    sctlr |= SCTLR_M | SCTLR_C | SCTLR_Z | SCTLR_I;
    sctlr &= ~SCTLR_A;
    __asm__ volatile("mcr p15, 0, %0, c1, c0, 0\n isb" : : "r"(sctlr) : "memory");
}
