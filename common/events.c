/* SPDX-License-Identifier: MIT */
/* events.c -- the table of events; its texts are the journal's catalog.
 *
 * A MESSAGE_ID is drawn once (systemd-id128 new) and never used for anything
 * else, also when its event is gone.
 */
#include "events.h"

#define SHOW "Look: reforkctl crash show @REFORK_CRASH_ID@, reforkctl crashes\n"

const struct rf_event rf_events[RF_EVENT_COUNT] = {
	[RF_EVENT_READY] = {"ready", "aad5ec63722d4283be41a07f48229af8",
		RF_LOG_INFO, "The service is ready",
		"Clients are served. The state is what the last run left, when "
		"an event \"arena taken over\" stands before this one, and "
		"empty otherwise.\nNothing to do.\n"},
	[RF_EVENT_STOPPED] = {"stopped", "30f205f79d3c438284a9fe7dbd73b2b3",
		RF_LOG_NOTICE, "The service has stopped",
		"All processes have ended in order. arena.on_stop says whether "
		"the state is kept for the next start.\nNothing to do.\n"},
	[RF_EVENT_BUSINESS_CRASH] = {"business_crash",
		"2e62dbb3cf894c9689ab6c83814dc0e3", RF_LOG_WARNING,
		"The business process crashed; the service goes on",
		"The process that runs the worker's code has died. Its "
		"half-made change was rolled back, a successor went on with "
		"the same state, and the request in work is run again once. "
		"Clients stayed connected: no state, no connection and no "
		"answered request is lost.\nOne crash is a bug to report; many "
		"of the same kind lead up the recovery ladder.\n" SHOW},
	[RF_EVENT_STANDBY_CRASH] = {"standby_crash",
		"8f8dd85d9c4b4e1cae90bf8f96ae64c9", RF_LOG_WARNING,
		"The standby process crashed; the service goes on",
		"The process that waits to take over has died, while another "
		"one serves. Nothing is lost. A new one is forked; until it is "
		"ready a takeover takes longer.\n" SHOW},
	[RF_EVENT_NETWORK_CRASH] = {"network_crash",
		"c1fd23d12c3542009347d48c1fedada7", RF_LOG_WARNING,
		"The network process or its vault crashed; the service goes on",
		"The process that holds the clients' connections, or the vault "
		"that keeps them open meanwhile, has died. As long as one of "
		"the two lived, the connections go on in the successor; when "
		"both died they are lost, and clients must connect anew. State "
		"is never lost by this.\n" SHOW},
	[RF_EVENT_HANG_ENDED] = {"hang_ended",
		"ef125ab68dcb4743a6c11e756849f071", RF_LOG_WARNING,
		"A process hung and was ended",
		"A process gave no sign of life within "
		"business.heartbeat_timeout, or a request ran for longer than "
		"business.request_timeout. It was killed; what follows is as "
		"after a crash, and is logged as one.\nLook: reforkctl crashes "
		"(the backtrace says where it hung)\nWhen the request is to "
		"take that long: raise the timeout, reload.\n"},
	[RF_EVENT_TAKEOVER_LATE] = {"takeover_late",
		"8ea298871df64b83a743302d544ca980", RF_LOG_WARNING,
		"The standby did not take over in time",
		"After the death of the business process its standby did not "
		"go on. The standby was ended, and a new business process is "
		"forked. Nothing is lost; clients waited longer.\nWhen it "
		"happens again: is the machine overloaded, or swapping "
		"(reforkctl doctor)?\n"},
	[RF_EVENT_CHECK_FAILED] = {"check_failed",
		"f6c49b572aa841fd852b5a17a65a67fc", RF_LOG_ERROR,
		"A process found itself broken and ends",
		"A condition that always holds did not: this process aborts "
		"before it does harm. Its crash and the recovery from it are "
		"logged as such.\nThis is a bug of refork or of the worker. "
		"Report @CODE_FILE@:@CODE_LINE@ with the output of: reforkctl "
		"crash show ID\n"},
	[RF_EVENT_QUARANTINED] = {"quarantined",
		"df1cd9a5c5d243ed86c03961679b2a36", RF_LOG_ERROR,
		"A request that crashed the service again and again is "
		"quarantined",
		"The same request ended the business process "
		"quarantine.attempts times. It is never run again; its client "
		"got an error, nothing of the request took effect, and nothing "
		"else is lost. Its bytes are kept.\nLook: reforkctl quarantine "
		"list\nAfter a repair of the worker: reforkctl quarantine "
		"release ID\n"},
	[RF_EVENT_CLIENT_BANNED] = {"client_banned",
		"660620138a014eda978a3e9646384678", RF_LOG_WARNING,
		"A client whose requests crash the service is refused",
		"@REFORK_CLIENT@ sent quarantine.client_limit requests that "
		"ended the business process. Its connections are refused for "
		"quarantine.client_ban. Other clients are served.\nLook: "
		"reforkctl quarantine list. Is it an attack, or a broken "
		"client?\n"},
	[RF_EVENT_CHANNEL_DAMAGED] = {"channel_damaged",
		"087fc6f0a4d44defb1d3d0636b5cda8d", RF_LOG_ERROR,
		"The memory between the processes was damaged",
		"Bytes that are no message stood in the rings between the "
		"network and the business process. Both start anew with empty "
		"rings. Clients lose their connections and must connect again; "
		"requests that were not answered may be lost; state is "
		"not.\nLook: reforkctl crashes. Some code wrote where it must "
		"not; arena.guard finds more.\n"},
	[RF_EVENT_VERIFY_BEGUN] = {"verify_begun",
		"d0e8ffb5f31e42758816a40e47ea5a0c", RF_LOG_NOTICE,
		"The whole memory is walked before the service goes on",
		"Too many crashes in a short time, or a death outside of any "
		"request: the state is not taken on trust. The next business "
		"process checks every block and container before it serves; "
		"clients wait meanwhile (network.park_timeout).\nNothing to "
		"do; the outcome is logged.\n"},
	[RF_EVENT_VERIFY_WHOLE] = {"verify_whole",
		"1547ad7009324171a28f003f20fc5d03", RF_LOG_NOTICE,
		"The memory is whole; the service goes on",
		"The walk found no damage. Nothing is lost.\nLook for what led "
		"here: reforkctl crashes\n"},
	[RF_EVENT_VERIFY_DAMAGED] = {"verify_damaged",
		"f07828a894ad4115b0ab43d628670d96", RF_LOG_ERROR,
		"The state is damaged",
		"A walk of the memory found what cannot be repaired, and the "
		"line before says where. This state is not served. refork goes "
		"on to the last durable copy, when there is one, and else does "
		"what restart.on_limit says.\nLook: reforkctl arena verify, "
		"reforkctl crashes\nDo not remove the arena before a copy of "
		"it is safe: it can still be read (reforkctl arena dump).\n"},
	[RF_EVENT_RESTORED] = {"restored", "2fbc7571b0ce470f8ebafa83125a5bc6",
		RF_LOG_NOTICE, "The last durable copy is in place",
		"The state in memory was not fit to go on with. The last "
		"durable copy has taken its place: what was changed since that "
		"copy was made is lost.\nLook: reforkctl crashes\n"},
	[RF_EVENT_HELD] = {"held", "acab8139cf334daa813fba94c6920b53",
		RF_LOG_ERROR, "The service is on hold: an operator is to act",
		"Recovery has come to its end (restart.burst, restart.window, "
		"restart.on_limit). No business process is forked; clients are "
		"kept waiting until network.park_timeout, the state stays in "
		"memory and nothing of it is lost.\nLook: reforkctl status, "
		"reforkctl crashes, reforkctl arena verify\nThen: reforkctl "
		"upgrade PATH.so (repaired code), or reforkctl resume\n"},
	[RF_EVENT_RESUMED] = {"resumed", "e3def5d1c2494f33b31f8ebe029e13ec",
		RF_LOG_NOTICE, "An operator has ended the hold",
		"A business process is forked again. It walks the whole memory "
		"before it serves.\nNothing to do; what comes of it is "
		"logged.\n"},
	[RF_EVENT_COLD_START] = {"cold_start",
		"ffc4eb65139d4cb986b0103798c7b687", RF_LOG_ERROR,
		"The service starts again with empty state",
		"Recovery has come to its end, and restart.on_limit = cold. "
		"All state is given up; the service goes on empty. The memory "
		"is kept aside where there is room and it has a name; a line "
		"nearby says where, and how to use it again.\nLook: reforkctl "
		"arena list, reforkctl crashes\n"},
	[RF_EVENT_GAVE_UP] = {"gave_up", "db5acdada54f4b88af421553113f8c4f",
		RF_LOG_ERROR, "The daemon gives up",
		"Recovery has come to its end, and restart.on_limit = exit. "
		"The daemon ends with exit status 70, and the service manager "
		"decides. The state stays where arena.backend keeps it, for "
		"the next start to judge.\nLook: systemctl status, the crashes "
		"logged before this\n"},
	[RF_EVENT_START_FAILED] = {"start_failed",
		"11116c5a5b484b14b9edcb1cf3cd4389", RF_LOG_ERROR,
		"The service could not start, or had to end",
		"The message says what was tried and what the system answered. "
		"No state that was there before was changed or removed.\nLook: "
		"reforkd -c FILE --check, which names every problem at once, "
		"with its remedy\n"},
	[RF_EVENT_FORK_FAILED] = {"fork_failed",
		"dc8d90415b8642d98d0d317ddece09b5", RF_LOG_ERROR,
		"A process could not be forked",
		"It is tried again, later each time; until it succeeds clients "
		"wait. State is not lost.\nLook: the limits of the unit "
		"(TasksMax, MemoryMax), free memory, reforkctl doctor\n"},
	[RF_EVENT_ARENA_ADOPTED] = {"arena_adopted",
		"8f80d7cc322f44f6a77dd766fb6d61a6", RF_LOG_NOTICE,
		"The state of an earlier run was taken over",
		"The memory that an earlier daemon left was checked, fits, and "
		"is in use at the same address: no state is lost.\nWhen nobody "
		"has restarted the service: look why it ended (journalctl -u, "
		"-b).\n"},
	[RF_EVENT_ARENA_REFUSED] = {"arena_refused",
		"5eb33d40629745eb844f4f80581a00e8", RF_LOG_ERROR,
		"The state of an earlier run does not fit this daemon",
		"The memory that an earlier daemon left is of another format "
		"or worker, or damaged; the message says which. This daemon "
		"does not start on it, and nothing of it is lost or changed.\n"
		"To use it: start with the package, worker and settings that "
		"it was made by. The message names the place where it is "
		"kept.\n"
		"To give it up: reforkctl arena release NAME, as the message "
		"says, then start.\n"},
	[RF_EVENT_ARENA_ASIDE] = {"arena_aside",
		"d1d89741f88f40e29994dc69d60929fb", RF_LOG_WARNING,
		"State that could not be used is kept aside",
		"The memory of an earlier run is of another format or worker, "
		"or damaged; the line before says which. The service goes on "
		"empty. What was there is kept as @REFORK_PATH@, unchanged, "
		"and takes up its room until it is removed.\nTo use it: "
		"install what it was written by, stop the service, move it "
		"back, start.\nTo remove it: reforkctl arena release "
		"@REFORK_PATH@\n"},
	[RF_EVENT_ARENA_LOST] = {"arena_lost",
		"e741d14bdf284a528c3e07bf8d4d8b2b", RF_LOG_WARNING,
		"State that could not be used was given up",
		"The memory of an earlier run could not be kept; the message "
		"says why. Its state is lost, and the service goes on "
		"empty.\nLook: arena.backend in refork.ini(5); a \"posix\" or "
		"\"file\" arena is kept aside instead\n"},
	[RF_EVENT_UPGRADED] = {"upgraded", "7283983ed7884b3aa19ebe971c462916",
		RF_LOG_NOTICE, "The worker was upgraded",
		"Other code runs now, on the same state; clients stayed "
		"connected. For upgrade.canary a crash leads back to the code "
		"before.\nTo go back by hand: reforkctl rollback\n"},
	[RF_EVENT_ROLLED_BACK] = {"rolled_back",
		"b7443899c0364ac7bd8462f0ed04c9d4", RF_LOG_NOTICE,
		"The worker was rolled back",
		"The code before the upgrade runs again, on the same state; "
		"clients stayed connected and nothing is lost.\nLook why: "
		"reforkctl crashes\n"},
	[RF_EVENT_UPGRADE_FAILED] = {"upgrade_failed",
		"8dcd4cbc379648b39215ca25fc57bbc7", RF_LOG_ERROR,
		"The worker was not changed as asked",
		"The message says why, and which code serves now. State and "
		"connections are as before.\nLook: reforkctl status\n"},
	[RF_EVENT_CANARY_CRASHED] = {"canary_crashed",
		"b8ce6ef91af74b6a8404411aa6ac53a0", RF_LOG_WARNING,
		"The worker crashed soon after its upgrade",
		"New code crashed within upgrade.canary. refork goes back to "
		"the code before when that can run this state; the message "
		"says which. Nothing is lost.\nLook: reforkctl crashes\n"},
	[RF_EVENT_RELOADED] = {"reloaded", "d3dd3ce9372e4aca91b07a24502f8e50",
		RF_LOG_NOTICE, "The configuration was reloaded",
		"What may change while the service runs is in effect; what may "
		"not is named in the lines before and waits for a "
		"restart.\nLook: reforkctl config show\n"},
	[RF_EVENT_RELOAD_REFUSED] = {"reload_refused",
		"f8d18be7076646c2b056cd35c6bdcafd", RF_LOG_ERROR,
		"The configuration was not reloaded",
		"The file has problems, each named in a line before this one. "
		"The configuration in effect stays, whole; the service goes "
		"on.\nLook: reforkd -c FILE --check\n"},
	[RF_EVENT_CLIENTS_REFUSED] = {"clients_refused",
		"1b1507c0da5e4d5a8930f72aa433ca49", RF_LOG_WARNING,
		"Clients were refused: there are too many",
		"network.max_clients are connected. Those are served; more are "
		"told so and closed.\nLook: reforkctl status. To serve more: "
		"raise network.max_clients, and LimitNOFILE= of the unit, then "
		"reload.\n"},
	[RF_EVENT_CLIENTS_DROPPED] = {"clients_dropped",
		"8941604d1e934ff29d036ef0eced068c", RF_LOG_WARNING,
		"Waiting clients were disconnected",
		"There was no business process for longer than "
		"network.park_timeout; clients whose requests had no answer "
		"yet were closed. Their requests may or may not have taken "
		"effect.\nLook: reforkctl status, reforkctl crashes\n"},
	[RF_EVENT_LINES_LEFT_OUT] = {"lines_left_out",
		"1f869bbc092c4a31b10949ca17c95a3a", RF_LOG_INFO,
		"Many lines of one kind were left out of the log",
		"One kind of line came more than 50 times at once and then "
		"more than 10 times a second. Those beyond were counted "
		"(@REFORK_LINES@) instead of written. Lines of other kinds are "
		"not affected.\nLook what causes that line. log.level = debug "
		"is not limited.\n"},
	[RF_EVENT_LINES_LOST] = {"lines_lost",
		"b3afb17f7edb48b6badc0e2c9ab02380", RF_LOG_WARNING,
		"Lines of the log were lost",
		"The journal, or whoever reads stderr, did not take "
		"@REFORK_LINES@ lines in time. refork does not wait for its "
		"log: the service was not slowed down.\nLook: systemctl status "
		"systemd-journald, the disk of /var/log/journal\n"},
};
