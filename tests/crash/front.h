/* SPDX-License-Identifier: MIT */
/* front.h -- scenarios with a channel: what stands between the clients and the
 * desk, and a desk that works for some worker.
 *
 *	FRONT(name, changes, "reply 1 $1|b|\n", .worker = &refork_worker,
 *		.said = SAID("open 1", "1 SET a b"), .says = SAYS("1 GET a"))
 *
 * What has been said is worked on before the sweep; what it says then stands
 * in the request ring when the sweep begins, the network child asleep. The
 * act is the desk's: it takes what there is. What comes back is told in a line
 * for each message: its kind ("reply", "push" or "error"), the connection, with
 * ! when this is its last word, + and - when its patience begins and ends, and
 * the bytes; | stands for an end of line.
 */
#ifndef FRONT_H
#define FRONT_H

#include "sweep.h"
#include <refork/worker.h>

struct front {
	const struct rf_worker *worker;
	/* What of the worker's memory means nothing; see sweep.h. */
	void (*forget)(struct image *image);
	/* "open N", "close N", "reset"; "N word..." is a request of connection
	 * N, one of its words may be @LARGE: see STAGE_LARGE_BYTES. "wait MS"
	 * lets the time pass, "tick" the worker. */
	const char *const *said, *const *says;
	uint64_t start;	   /* of both rings' positions */
	unsigned attempts; /* that the first message has had already */
	bool waits;	   /* the network child waits for room, too */
	bool tick;	   /* the act has the worker's tick run, too */
	bool fresh_channel;
};

#define SAID(...) ((const char *const[]){__VA_ARGS__, NULL})
#define SAYS(...) SAID(__VA_ARGS__)
#define NOTHING	  ((const char *const[]){NULL})
#define FRONT(name, changes, told, ...)                                        \
	FRONT_IN(&front_geometry, false, name, changes, told, __VA_ARGS__)
#define FRONT_LARGE(name, changes, told, ...)                                  \
	FRONT_IN(&front_geometry_large, false, name, changes, told, __VA_ARGS__)
/* The act begins with taking over a new channel. */
#define FRONT_FRESH(name, changes, told, ...)                                  \
	FRONT_IN(&front_geometry, true, name, changes, told,                   \
		.fresh_channel = true, __VA_ARGS__)
#define FRONT_IN(the_geometry, fresh, the_name, the_changes, the_told, ...)    \
	{                                                                      \
		.name = the_name, .geometry = the_geometry,                    \
		.prepare = front_prepare, .act = front_act,                    \
		.changes = the_changes, .check = front_check,                  \
		.forget = front_forget, .resume = front_resume,                \
		.resume_changes = fresh, .finish = front_act,                  \
		.tell = front_tell, .told = the_told,                          \
		.arg = &(const struct front)                                   \
		{                                                              \
			__VA_ARGS__                                            \
		}                                                              \
	}

extern const struct geometry front_geometry, front_geometry_large;

void front_prepare(const struct scenario *self);
void front_act(const struct scenario *self);
int front_check(const struct scenario *self);
void front_forget(const struct scenario *self, struct image *image);
void front_resume(const struct scenario *self, size_t undone, bool rung);
void front_tell(const struct scenario *self, struct tale *tale);

#endif
