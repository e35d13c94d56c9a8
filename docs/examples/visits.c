/* SPDX-License-Identifier: MIT */
/* visits.c -- a worker to begin with: counts visits by name.
 *
 *	VISIT NAME    one more; the number so far
 *	VISITS NAME   only the number
 *
 * The numbers are in the arena: they outlive every crash of this code. What one
 * request changes happens together with its reply, or not at all.
 */
#include "visits.h"

#include <refork/resp.h>
#include <refork/slot.h>
#include <refork/tx.h>
#include <refork/walk.h>
#include <refork/worker.h>
#include <strings.h>

static struct visits *visits;

static int build(const struct rf_env *env)
{
	(void)env;
	return rf_slot_open(VISITS_SLOT, VISITS_TYPE, VISITS_VERSION,
		sizeof(*visits), (void **)&visits, NULL);
}

static void visit(struct rf_bytes name, struct rf_reply *reply)
{
	struct rf_dict_entry *entry =
		rf_dict_put(&visits->by_name, name.at, name.bytes, NULL);

	if (!entry)
		return; /* no memory: refork answers -OOM */
	RF_SET(entry->word, entry->word + 1);
	rf_resp_int(reply, (int64_t)entry->word);
}

static void tell(struct rf_bytes name, struct rf_reply *reply)
{
	const struct rf_dict_entry *entry =
		rf_dict_find(&visits->by_name, name.at, name.bytes);

	rf_resp_int(reply, entry ? (int64_t)entry->word : 0);
}

static const struct {
	const char *name;
	void (*run)(struct rf_bytes name, struct rf_reply *reply);
} commands[] = {{"VISIT", visit}, {"VISITS", tell}};

static void request(const struct rf_request *req, struct rf_reply *reply)
{
	const struct rf_bytes *said = req->argv;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (req->argc == 2 && said->bytes == strlen(commands[i].name) &&
			!strncasecmp(said->at, commands[i].name, said->bytes)) {
			commands[i].run(req->argv[1], reply);
			return;
		}
	rf_resp_error(reply, "ERR there are VISIT NAME and VISITS NAME");
}

/* All that the slot leads to, for `reforkctl arena verify`. */
static void walk(struct rf_walk *walk)
{
	const struct visits *root = rf_walk_slot(
		walk, VISITS_SLOT, VISITS_TYPE, VISITS_VERSION, sizeof(*root));

	if (root)
		rf_walk_dict(walk, &root->by_name, NULL, NULL);
}

/* Whether the state may be served after what should not have happened. */
static int verify(void)
{
	return rf_walk_check(walk);
}

RF_API const struct rf_worker refork_worker = {
	.magic = RF_WORKER_MAGIC,
	.struct_size = sizeof(struct rf_worker),
	.abi = RF_WORKER_ABI,
	.name = "visits",
	.version = "1.0",
	.state_version = 1,
	.build = build,
	.request = request,
	.verify = verify,
	.walk = walk,
};
