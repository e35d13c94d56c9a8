/* SPDX-License-Identifier: MIT */
/* checkpoint.c -- be fit to be written down and restored by another program.
 *
 * The problem. CRIU freezes a tree of processes, writes it down and ends it,
 * and makes it again elsewhere. It refuses siblings that share a descriptor
 * table (the vault) or a memory map (the helpers that hold one). And an arena
 * with a name is no part of what it writes down: the file stays as the kernel
 * leaves it when the tree is ended, and that takes the lease away. In the
 * restored tree a standby would get it at once, while the business child
 * believes that it has it: two writers.
 * The idea. Before, end the vault, the helpers and the standby; whoever is left
 * cannot be in another's way. Afterwards, re-fork the business child: its
 * successor makes the lease anew, and whatever else of a process does not come
 * back (protection keys).
 *
 *   C1  while prepared nobody can take the lease but the
 *       business child's successor           wants_standby()
 *   C2  no second business process before the first one
 *       is dead, also if that is not the one that crashed
 *                                            family_end_checkpoint(),
 *                                            checkpoint_on_crash()
 *   C3  a crash meanwhile ends the preparation: what the
 *       service has for crashes is worth more
 *                                            checkpoint_on_crash()
 */
#include "member.h"

#include <errno.h>
#include <refork/log.h>

int family_prepare_checkpoint(struct family *f)
{
	struct member *vault = &f->members[VAULT];

	if (f->planned.active || f->stopping || !family_serves(f))
		return -EBUSY;
	if (!f->checkpoint)
		rf_log(RF_LOG_NOTICE,
			"preparing for a checkpoint: no standby, no vault");
	f->checkpoint = true;
	if (vault->state != CHILD_DOWN && vault->state != CHILD_STOPPING)
		member_feed(vault, CHILD_EV_STOP);
	family_review(f);
	return 0;
}

int family_checkpoint_state(struct family *f)
{
	int holders;

	if (!f->checkpoint)
		return -ECANCELED;
	holders = deaths_end_holders(f, 0);
	if (holders < 0)
		return holders;
	deaths_reap(f);
	if (holders || f->members[VAULT].state != CHILD_DOWN ||
		f->members[STANDBY].state != CHILD_DOWN)
		return -EAGAIN;
	for_each_process(f, p) if (!p->member) return -EAGAIN;
	return 0;
}

int family_end_checkpoint(struct family *f, struct family_done done)
{
	int rc = family_checkpoint_state(f);

	if (rc)
		return rc == -ECANCELED ? -EALREADY : -EBUSY;
	f->checkpoint = false;
	rc = family_renew_business(f, true, done);
	f->checkpoint = rc != 0;
	if (rc)
		return rc;
	rf_log(RF_LOG_NOTICE, "the checkpoint is over: a business child with "
			      "a lease of its own, a vault, a standby");
	family_review(f);
	return 0;
}

void checkpoint_on_crash(struct family *f, enum rf_crash_role role)
{
	struct member *business = &f->members[BUSINESS];

	if (!f->checkpoint)
		return;
	f->checkpoint = false;
	rf_log(RF_LOG_WARNING,
		"no longer prepared for a checkpoint: a crash; prepare again");
	if (role == BUSINESS || !member_serves(business) ||
		!member_lives(business))
		return;
	/* This may be a restored tree: nobody has the lease there, and a
	 * standby would get it beside this one. */
	process_spend(business->process);
	member_feed(business, CHILD_EV_REPLACE);
}
