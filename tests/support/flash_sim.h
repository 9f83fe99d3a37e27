/* hal/flash.h on memory, for unit and power-cut tests: NOR rules checked to the letter, cuts, torn operations, faults.
 *
 * Two pictures are kept: what reads see now, and what a cut leaves for certain (all up to the last sync). A cut keeps each
 * operation since then, or drops it, by the seed; the one under way may be torn. One operation runs at each flash_poll;
 * syncs that stand in a row are served by one. Code under test runs outside tasks with task_set_poll(flash_poll), or in
 * tasks with a loop that calls flash_poll.
 *
 * A power-cut test: run the work once to count flash_sim_operations(), then for each n (and some seeds): flash_sim_init,
 * flash_sim_cut_after(n, ...), setjmp, run; the cut callback longjmps; flash_sim_power_on, then recover and check. */
#ifndef TESTS_FLASH_SIM_H
#define TESTS_FLASH_SIM_H

#include "hal/flash.h"

/* All ones, nothing queued, no cut or fault set, counters zero. May be called again at any time. */
void flash_sim_init(uint64_t size_bytes, uint32_t erase_block_bytes, uint32_t program_unit_bytes);
/* The same for a large flash: half the memory, and the power cannot go. */
void flash_sim_init_uncut(uint64_t size_bytes, uint32_t erase_block_bytes, uint32_t program_unit_bytes);
void flash_sim_free(void); /* so that the leak checker is content */

/* The power goes when n operations more (erase, program, sync; a row of syncs counts once) have been done and the next one
 * starts; with torn that next one is left somewhere in its middle, else untouched. seed says what survives: 0 drops every
 * operation not yet synced, 1 keeps all, others choose. on_cut is called from flash_poll and must not return (longjmp). */
void flash_sim_cut_after(uint64_t n, bool torn, uint64_t seed, void (*on_cut)(void));
/* The power goes now, between operations (as a test's own "kill -9"); does not call on_cut. */
void flash_sim_cut_now(uint64_t seed);
/* After a cut: what survived is what reads see; counters of operations start anew, those of wear stay. */
void flash_sim_power_on(void);
bool flash_sim_is_cut(void);

/* The nth operation of that kind from now on (1 is the next) ends in RC_IO, half done. 0 forgets it. */
void flash_sim_fail(enum flash_op_kind kind, uint64_t n);
/* Each program of more bytes than that ends so, until 0 forgets it. */
void flash_sim_fail_programs_over(uint32_t len);
/* Erases and programs in this block give RC_IO from now on, and change nothing. Power cuts don't mend it. */
void flash_sim_wear_out(uint64_t block);
/* The block in which the last operation that flash_sim_fail chose was done; UINT64_MAX: none was yet. With lasting, that block is worn out. */
void flash_sim_failures_last(bool lasting);
uint64_t flash_sim_failed_block(void);
/* Reads that touch [addr, addr+len) give RC_IO; len 0 forgets it. */
void flash_sim_fail_reads(uint64_t addr, uint64_t len);
/* Operations take n polls each (0 and 1: one), so that other tasks run between. */
void flash_sim_slow(unsigned polls);

/* The bytes themselves, to damage or compare; changes by a test are durable at once through flash_sim_poke,
 * after which units that are not all ones count as programmed. */
const uint8_t *flash_sim_bytes(void);
void flash_sim_poke(uint64_t addr, const void *data, size_t len);

uint64_t flash_sim_operations(void);
uint64_t flash_sim_count(enum flash_op_kind kind);
uint64_t flash_sim_reads(void); /* calls of flash_read since init, also those that failed: what a walk over the log costs */
uint32_t flash_sim_wear(uint64_t block); /* erases of that block since init */
/* How often the rules were broken, and how the last time, e.g. "program 0x40000+8: unit 0x40004 was programmed before". A
 * test of a flash format should end with this at 0. */
unsigned flash_sim_violations(void);
const char *flash_sim_violation(void);

#endif
