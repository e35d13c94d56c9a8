/* SPDX-License-Identifier: MIT */
/* bury.c -- freeing what is large, a little with each tick.
 *
 * A flush puts all keys of a database aside and empty ones in their place; a
 * deletion puts a large collection aside. Both are O(1). The dead stand in two
 * lists in the arena, so a successor goes on burying: keys one database after
 * the other, whose large values join the list of dead values.
 *
 * A dead value needs no memory for its place in the list: its first word,
 * whose top 4 bits are the kind, has the address of the next one in the low 48.
 */
#include "worker/kv/keys/bury.h"
#include "worker/kv/keys/kinds.h"
#include "worker/kv/keys/root.h"

#define SMALL_COUNT 64u /* elements freed at once */
#define STEP	    64u /* keys, or elements, between two looks */

static uint64_t *word_of(struct kv_value *value)
{
	_Static_assert(offsetof(struct kv_value, head) == 4, "top of a word");
	return (uint64_t *)(void *)value;
}

static void put_aside(struct kv_value *value)
{
	RF_SET(*word_of(value), (uint64_t)kv_root->dead_values |
					(uint64_t)kv_kind_of(value) << 60);
	RF_SET(kv_root->dead_values, value);
	RF_SET(kv_root->dead_value_count, kv_root->dead_value_count + 1);
}

void kv_value_drop(struct kv_value *value)
{
	const struct kv_kind_row *row = &kv_kinds[kv_kind_of(value)];

	if (kv_kind_of(value) != KV_STRING) {
		if (!row->is_compact(value->body) &&
			row->count(value->body) > SMALL_COUNT) {
			put_aside(value);
			return;
		}
		while (!row->clear_step(value->body, SMALL_COUNT))
			if (rf_tx_error() != 0)
				return;
	}
	rf_free(value);
}

void kv_flush(struct kv_keys *keys)
{
	struct kv_keys *fresh = kv_root->spare;

	if (rf_dict_count(&keys->dict) == 0)
		return;
	if (fresh == NULL) {
		fresh = rf_alloc(sizeof *fresh);
		if (fresh == NULL)
			return;
	} else {
		RF_SET(kv_root->spare, fresh->next);
		RF_SET(kv_root->spare_count, kv_root->spare_count - 1);
		RF_SET(fresh->next, NULL);
	}
	RF_SET(fresh->db, keys->db);
	RF_SET(kv_root->databases[keys->db], fresh);
	rf_timers_reset(&keys->timers);
	RF_SET(keys->next, kv_root->dead_keys);
	RF_SET(kv_root->dead_keys, keys);
}

/* Of dead keys, whose timers have been forgotten. */
static void bury_entry(struct rf_dict_entry *entry)
{
	struct kv_value *value = kv_value_of(entry);

	rf_free(kv_timer_of(entry));
	if (value != NULL)
		kv_value_drop(value);
}

static void bury_value(struct kv_value *value)
{
	if (!kv_kinds[kv_kind_of(value)].clear_step(value->body, STEP))
		return;
	RF_SET(kv_root->dead_values, kv_dead_next(value));
	RF_SET(kv_root->dead_value_count, kv_root->dead_value_count - 1);
	rf_free(value);
}

static void bury_keys(struct kv_keys *keys)
{
	if (!rf_dict_clear_step(&keys->dict, STEP, bury_entry))
		return;
	RF_SET(kv_root->dead_keys, keys->next);
	if (kv_root->spare_count == kv_root->database_count) {
		rf_free(keys);
		return;
	}
	RF_SET(keys->next, kv_root->spare);
	RF_SET(kv_root->spare, keys);
	RF_SET(kv_root->spare_count, kv_root->spare_count + 1);
}

bool kv_bury_step(size_t budget)
{
	for (size_t done = 0; done < budget && rf_tx_error() == 0;
		done += STEP) {
		if (kv_root->dead_values != NULL)
			bury_value(kv_root->dead_values);
		else if (kv_root->dead_keys != NULL)
			bury_keys(kv_root->dead_keys);
		else
			return false;
	}
	return kv_root->dead_values != NULL || kv_root->dead_keys != NULL;
}

uint64_t kv_dead_count(void)
{
	uint64_t count = kv_root->dead_value_count;

	for (const struct kv_keys *at = kv_root->dead_keys; at != NULL;
		at = at->next)
		count += rf_dict_count(&at->dict);
	return count;
}
